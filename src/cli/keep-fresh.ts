import { createRenewals } from '../agent/renewals.ts';
import type { HeldCredential } from '../client/credentials.ts';
import { ensureCredential } from '../client/hold.ts';
import type { GrantView } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import type { Context } from './context.ts';
import { warn } from './io.ts';
import { pause } from './waiting.ts';

/** How often the wall clock is looked at, timers stand still while a laptop sleeps; and the shortest wait. */
const [TICK_MS, SHORTEST_MS] = [15_000, 20];

/**
 * Keeps the credentials of a program that runs from running out until `signal` is aborted, then returns; never throws. Where an
 * agent keeps them as well, whoever comes first renews, through the agent.
 */
export async function keepFresh(
  context: Context,
  grants: readonly GrantView[],
  credentials: readonly HeldCredential[],
  signal: AbortSignal,
): Promise<void> {
  const { io, now } = context;
  const client = await context.client();
  const renewals = createRenewals({
    now,
    random: Math.random,
    ensure: (due, options) =>
      Promise.allSettled(due.map((grant) => ensureCredential(client, grant, options))),
  });
  for (const credential of credentials) {
    const grant = grants.find(({ id }) => id === credential.grantId);
    if (grant !== undefined) renewals.keep(grant, credential);
  }
  try {
    for (let at = renewals.nextAt(); at !== undefined; at = renewals.nextAt()) {
      await pause(signal, Math.max(SHORTEST_MS, Math.min(at - now(), TICK_MS)));
      for (const outcome of await renewals.renewDue(signal)) {
        if (outcome.kind === 'renewed') continue;
        await warn(io, `${formatTarget(outcome.grant.target)} is not renewed: ${outcome.error.message}`);
        // What comes of it is on the program's own screen.
        if (outcome.kind !== 'failed') renewals.drop(outcome.grant.id);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
