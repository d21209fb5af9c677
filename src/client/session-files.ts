/**
 * What ssh, psql and other tools read, under the run folder: secret, wiped at the end. Each grant has a folder of its own,
 * complete in itself; beside them lie joined files over all grants, the newest where their tools look first: ssh and
 * libpq take the first match, MariaDB's programs the last.
 * They are rebuilt from the folders, so a wipe needs no key.
 */
import { join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { TARGET_KINDS, type TargetKind } from '../protocol/target-kinds.ts';
import type { HeldCredential } from './credentials.ts';
import { ensureDir, listNames, readSafeFile, removePath } from './files.ts';
import type { ClientPaths } from './paths.ts';
import { grantFolder, joinedFile } from './session-paths.ts';
import type { Command, Held } from './targets/client-target.ts';
import { clientTarget, fromAllKinds } from './targets/kinds.ts';
import { type FileWrite, writeFiles } from './write-files.ts';

/** Writes what has changed. Throws AppError `unsafe_file`, `disk_full`, and `corrupt_file` for a value no file can hold safely. */
export async function writeSessionFiles(
  paths: ClientPaths,
  credentials: readonly HeldCredential[],
): Promise<void> {
  // Whoever owns the folder above ours could put another in our folder's place.
  ensureDir(paths.runDir);
  const files = credentials.flatMap((credential) => {
    const folder = grantFolder(paths, credential.grantId);
    const held = ofOneKind(credential);
    return Object.entries(clientTarget(held.publicPart.kind).files(held, folder)).map(([name, data]) => ({
      path: join(folder, name),
      data,
    }));
  });
  await writeChanged(files);
  await rejoin(paths);
}

/** Fine where there are none. */
export async function wipeSessionFiles(paths: ClientPaths, grantId: string): Promise<void> {
  removePath(grantFolder(paths, grantId));
  await rejoin(paths);
}

/** The grants and opened packs that have files here. */
export function listSessionGrants(paths: ClientPaths): string[] {
  return listNames(join(paths.runDir, 'grants'));
}

/** What a tool's environment gets for these credentials: names and files, no secret. */
export function environmentFor(
  paths: ClientPaths,
  credentials: readonly HeldCredential[],
): Record<string, string> {
  const env: Record<string, string> = {};
  for (const { target, held } of byKind(credentials)) Object.assign(env, target.environment(paths, held));
  return env;
}

/** The command as its tool needs it to reach what these credentials open. */
export function commandFor(
  paths: ClientPaths,
  credentials: readonly HeldCredential[],
  command: Command,
): Command {
  return byKind(credentials).reduce(
    (before, { target, held }) => target.adaptCommand?.(before, paths, held) ?? before,
    command,
  );
}

function byKind(credentials: readonly HeldCredential[]) {
  return TARGET_KINDS.map((kind) => ({
    target: clientTarget(kind),
    held: credentials.filter(({ publicPart }) => publicPart.kind === kind).map(ofOneKind),
  })).filter(({ held }) => held.length > 0);
}

/** Throws AppError `corrupt_file` for a secret of another kind than what it belongs to. */
export function ofOneKind(credential: HeldCredential): Held<TargetKind> {
  const { publicPart, secret } = credential;
  if (publicPart.kind !== secret.kind)
    throw new AppError('corrupt_file', 'the credential does not fit its secret', {
      hint: 'oncall renew --no-extend fetches another',
    });
  return credential;
}

/** Rebuilds the joined files; one that would be empty is removed. */
async function rejoin(paths: ClientPaths): Promise<void> {
  // What was opened by break-glass comes first: what a grant has left here may have run out.
  const ids = listSessionGrants(paths).reverse();
  const isPack = (id: string) => id.startsWith('bg_');
  const newestFirst = [...ids.filter(isPack), ...ids.filter((id) => !isPack(id))];
  const joined = fromAllKinds(({ joined, join: joinParts = concatenate }) =>
    joined.map((name) => {
      const parts = newestFirst.flatMap((id) => {
        const part = readSafeFile(join(grantFolder(paths, id), name), { secret: true });
        return part === undefined ? [] : [part.toString('utf8')];
      });
      return { path: joinedFile(paths, name), data: joinParts(parts) };
    }),
  );
  for (const { path } of joined.filter(({ data }) => data === '')) removePath(path);
  await writeChanged(joined.filter(({ data }) => data !== ''));
}

function concatenate(parts: readonly string[]): string {
  return parts.join('');
}

/** All of it is made from sealed credentials, by the next command if not by this one: not worth waiting for the disk. */
async function writeChanged(files: readonly FileWrite[]): Promise<void> {
  const changed = files.filter(
    ({ path, data }) => readSafeFile(path, { secret: true })?.toString('utf8') !== data,
  );
  await writeFiles(changed.map((file) => ({ ...file, isCopy: true })));
}
