import type { HeldCredential } from '../client/credentials.ts';
import { readStatusFile, type StatusFile } from '../client/status-file.ts';
import { AppError } from '../protocol/errors.ts';
import { formatTarget } from '../protocol/names.ts';
import type { TypedTarget } from './command.ts';
import type { Context } from './context.ts';
import { warn } from './io.ts';
import { bothTimes } from './times.ts';

export type OpenGlass = StatusFile['breakGlass']['open'][number];

/** What is open by break-glass and not over, of what a target names. From the status file: asks nobody. */
export function openFor(
  status: StatusFile | undefined,
  { resource, role }: TypedTarget,
  nowMs: number,
): OpenGlass[] {
  return (status?.breakGlass.open ?? []).filter(
    ({ target, expiresAt }) =>
      target.resource === resource &&
      (role === undefined || target.role === role) &&
      Date.parse(expiresAt) > nowMs,
  );
}

/**
 * What of these targets is open by break-glass, ready for a tool, each use written down first; and the rest. Throws AppError `ambiguous`
 * for a resource on which several roles are open, and what opening throws.
 */
export async function takeOpened(
  context: Context,
  targets: readonly TypedTarget[],
  tool: string,
): Promise<{ opened: HeldCredential[]; rest: TypedTarget[] }> {
  const { paths } = await context.clientContext();
  const status = readStatusFile(paths);
  const opened: HeldCredential[] = [];
  const rest: TypedTarget[] = [];
  for (const typed of targets) {
    const found = openFor(status, typed, context.now());
    const names = [...new Set(found.map(({ target }) => formatTarget(target)))];
    if (names.length > 1) {
      throw new AppError('ambiguous', `several roles on ${typed.resource} are open`, {
        hint: `name one: ${names.join(', ')}`,
      });
    }
    const credential = found[0] && (await use(context, found[0], tool));
    if (credential === undefined) rest.push(typed);
    else opened.push(credential);
  }
  return { opened, rest };
}

async function use(
  context: Context,
  { target }: OpenGlass,
  tool: string,
): Promise<HeldCredential | undefined> {
  const { useOpened } = await import('../client/break-glass/open.ts');
  const used = await useOpened(await context.client(), target, tool);
  if (used === undefined) return undefined;
  const { credential } = used;
  const until = bothTimes(credential.expiresAt, context.now());
  await warn(context.io, `BREAK-GLASS ${formatTarget(credential.target)} until ${until}: ${used.use.reason}`);
  return credential;
}
