import type { HeldCredential } from '../client/credentials.ts';
import { ensureCredentials } from '../client/hold.ts';
import { commandFor, environmentFor } from '../client/session-files.ts';
import type { Command } from '../client/targets/client-target.ts';
import type { GrantView } from '../protocol/messages.ts';
import { runChild } from './child.ts';
import type { Context } from './context.ts';
import { keepFresh } from './keep-fresh.ts';
import { neverSpin } from './waiting.ts';

export interface Access {
  readonly grants: readonly GrantView[];
  /** By break-glass: lasts as long as it lasts. */
  readonly opened?: readonly HeldCredential[];
}

/**
 * Runs a program with all that this opens: files and names in its environment, no secret in it or in the arguments, and
 * credentials that are renewed while it runs. Returns its exit code. Throws what fetching credentials throws, and StatusError 126
 * and 127 where the program does not start.
 */
export async function runWithAccess(
  context: Context,
  { grants, opened = [] }: Access,
  choose: (credentials: readonly HeldCredential[]) => Promise<Command>,
): Promise<number> {
  const client = await context.client();
  const granted = grants.length === 0 ? [] : await ensureCredentials(client, grants);
  const credentials = [...granted, ...opened];
  const { paths } = client.context;
  const access = environmentFor(paths, credentials);
  const [program, ...args] = commandFor(paths, credentials, await choose(credentials));
  neverSpin(context.io);
  const stop = new AbortController();
  const fresh = keepFresh(context, grants, granted, stop.signal);
  try {
    return await runChild(context, { program, args, env: { ...context.env, ...access } });
  } finally {
    stop.abort();
    await fresh;
  }
}
