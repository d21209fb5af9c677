/**
 * What a command leaves behind it, once its result has been written, where no agent does it: what was opened by break-glass is closed at its
 * end and told to the webhook, and packs are fetched while the broker is there. None of it may hold up whoever typed the command for
 * long, or change how it ends.
 */

import { startAgent } from '../client/agent-start.ts';
import { closeExpired, closeGranted } from '../client/break-glass/close.ts';
import { refreshPacks } from '../client/break-glass/fetch.ts';
import { hasJournal } from '../client/break-glass/journal-place.ts';
import { packsDueAt } from '../client/break-glass/look-at.ts';
import { isSomethingUntold, tellOpenings } from '../client/break-glass/tell.ts';
import type { Client } from '../client/client.ts';
import { readStatusFile } from '../client/status-file.ts';
import { isAppError } from '../protocol/errors.ts';

/** Next time is soon enough. */
const LONGEST_MS = 4_000;

/** `reached`: the broker has answered this command. */
export async function afterCommand(client: Client, { reached }: { reached: boolean }): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LONGEST_MS);
  });
  const work = leave(client, reached).catch((error: unknown) => {
    // What is wrong here is said by the command that needs it.
    if (!isAppError(error)) throw error;
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

async function leave(client: Client, reached: boolean): Promise<void> {
  const { context } = client;
  if (hasJournal(context.paths)) {
    await closeExpired(client);
    await closeGranted(client, grantedHere(client));
    if (isSomethingUntold(client)) await tellOpenings(client, AbortSignal.timeout(LONGEST_MS));
  }
  if (!reached || packsDueAt(context) > context.now()) return;
  // An agent fetches what is due as soon as it is there.
  if (context.agent !== undefined && client.config.agent !== 'off') await startAgent(client);
  else await refreshPacks(client);
}

/** Targets for which this device holds what the broker has granted. */
function grantedHere({ context }: Client) {
  const { grants = [] } = readStatusFile(context.paths) ?? {};
  return grants
    .filter(({ credentialExpiresAt }) => Date.parse(credentialExpiresAt ?? '') > context.now())
    .map(({ target }) => target);
}
