/**
 * What plain tools read after `oncall setup`, kept in step with what is held: the files in the tools folder, and the blocks that repeat
 * one of them in a person's own file, for tools that can include none. Without set-up there is no such folder, and nothing to do.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { isAppError } from '../protocol/errors.ts';
import { TARGET_KINDS } from '../protocol/target-kinds.ts';
import type { ClientContext } from './context.ts';
import type { HeldCredential } from './credentials.ts';
import { ensureDir, readSafeFile } from './files.ts';
import { readKnownTargets, rememberTargets } from './known-targets.ts';
import type { BlockPlace } from './own-block.ts';
import type { ClientPaths } from './paths.ts';
import { joinedFile } from './session-paths.ts';
import { clientTarget } from './targets/kinds.ts';
import { writeFiles } from './write-files.ts';

/** A block that repeats a file of the tools folder. */
export interface FollowingBlock extends BlockPlace {
  /** Of the block. */
  readonly name: string;
  /** A file of the tools folder. */
  readonly follows: string;
}

export function toolFile({ toolsDir }: ClientPaths, name: string): string {
  return join(toolsDir, name);
}

/** Makes the folder, after which what is in it is kept in step. The caller holds `paths.holdLock`. */
export async function beginToolFiles(paths: ClientPaths): Promise<void> {
  ensureDir(paths.toolsDir);
  await writeToolFiles(paths);
}

/**
 * Brings everything in step with what is held now; the targets of these credentials are remembered. Access must not fail for a
 * file of a tool: what cannot be written is warned of. The caller holds `paths.holdLock`.
 */
export async function followSession(
  context: ClientContext,
  credentials: readonly HeldCredential[] = [],
): Promise<void> {
  const { paths, warn } = context;
  try {
    await rememberTargets(paths, credentials);
    if (!existsSync(paths.toolsDir)) return;
    if (existsSync(agentRecord(paths))) {
      const { followInAgent } = await import('./ssh-agent-keys.ts');
      await followInAgent(context, credentials);
    }
    await writeToolFiles(paths);
    for (const block of readFollowingBlocks(paths)) await followOne(paths, block, warn);
  } catch (error) {
    warn(`plain tools may not see what changed: ${messageOf(error)}`);
  }
}

/** The lines that a file of the tools folder has, or would have now. */
export function toolLines(paths: ClientPaths, name: string): string[] {
  const text = composeToolFiles(paths)[name] ?? '';
  return text === '' ? [] : text.replace(/\n+$/, '').split('\n');
}

export function readFollowingBlocks(paths: ClientPaths): FollowingBlock[] {
  return readRecord<FollowingBlock[]>(recordOf(paths)) ?? [];
}

/** Notes, or with undefined forgets, that the block of this name follows a tool file. */
export async function noteFollowingBlock(
  paths: ClientPaths,
  name: string,
  block: Omit<FollowingBlock, 'name'> | undefined,
): Promise<void> {
  const others = readFollowingBlocks(paths).filter((other) => other.name !== name);
  const all = block === undefined ? others : [...others, { ...block, name }];
  await writeFiles([{ path: recordOf(paths), data: `${JSON.stringify(all)}\n` }]);
}

/** What this version or an older one wrote; undefined where there is nothing, or it is damaged: set-up writes it anew. */
export function readRecord<T>(path: string): T | undefined {
  const bytes = readSafeFile(path);
  try {
    return bytes === undefined ? undefined : (JSON.parse(bytes.toString('utf8')) as T);
  } catch {
    return undefined;
  }
}

async function writeToolFiles(paths: ClientPaths): Promise<void> {
  const files = Object.entries(composeToolFiles(paths)).map(([name, data]) => ({
    path: toolFile(paths, name),
    data,
    isCopy: true,
  }));
  await writeFiles(files.filter(({ path, data }) => readSafeFile(path)?.toString('utf8') !== data));
}

function composeToolFiles(paths: ClientPaths): Record<string, string> {
  const known = readKnownTargets(paths).sort((a, b) => (a.resource < b.resource ? -1 : 1));
  const joined = (name: string) =>
    readSafeFile(joinedFile(paths, name), { secret: true })?.toString('utf8') ?? '';
  const files: Record<string, string> = {};
  for (const kind of TARGET_KINDS) {
    const ofKind = known.filter((target) => target.kind === kind);
    Object.assign(files, clientTarget(kind).toolFiles?.({ paths, joined, known: ofKind }));
  }
  return files;
}

/** A block that somebody took out of the file stays out. */
async function followOne(
  paths: ClientPaths,
  block: FollowingBlock,
  warn: ClientContext['warn'],
): Promise<void> {
  try {
    const { viewBlock, writeBlock } = await import('./own-block.ts');
    const lines = toolLines(paths, block.follows);
    if (viewBlock(block, block.name, lines).state !== 'absent')
      await writeBlock(paths, block, block.name, lines, { force: false });
  } catch (error) {
    warn(`${block.file} does not follow what you hold: ${messageOf(error)}`);
  }
}

function messageOf(error: unknown): string {
  if (isAppError(error)) return error.message;
  return error instanceof Error ? error.name : 'something went wrong inside oncall';
}

/** There while certificates go into the person's ssh-agent too: see ssh-agent-keys.ts. */
export function agentRecord(paths: ClientPaths): string {
  return toolFile(paths, 'ssh-agent.json');
}

function recordOf(paths: ClientPaths): string {
  return toolFile(paths, 'blocks.json');
}
