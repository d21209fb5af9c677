import type { HeldCredential } from '../client/credentials.ts';
import { ensureCredential, secondsLeft } from '../client/hold.ts';
import { isAppError } from '../protocol/errors.ts';
import type { GrantView } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import type { Context } from './context.ts';
import { warn } from './io.ts';
import { pause } from './waiting.ts';

/** How often the wall clock is looked at: timers stand still while a laptop sleeps. */
const TICK_MS = 15_000;
const [FIRST_RETRY_MS, LONGEST_RETRY_MS] = [10_000, 300_000];
/** Codes after which asking again is pointless. */
const FINAL: readonly string[] = ['ended', 'expired', 'denied', 'forbidden', 'not_found', 'unauthenticated'];

/** Renews each credential at half its life until `signal` is aborted, then returns; never throws. */
export async function keepFresh(
  context: Context,
  grants: readonly GrantView[],
  credentials: readonly HeldCredential[],
  signal: AbortSignal,
): Promise<void> {
  await Promise.all(
    credentials.map(async (credential) => {
      const grant = grants.find(({ id }) => id === credential.grantId);
      if (grant !== undefined) await keepOneFresh(context, grant, credential, signal);
    }),
  );
}

async function keepOneFresh(
  context: Context,
  grant: GrantView,
  first: HeldCredential,
  signal: AbortSignal,
): Promise<void> {
  let credential = first;
  let retryMs = FIRST_RETRY_MS;
  try {
    for (;;) {
      await untilHalfLife(context, credential, signal);
      try {
        credential = await ensureCredential(await context.client(), grant, { fresh: true, signal });
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        if (signal.aborted) return;
        const message = isAppError(error) ? error.message : 'something went wrong inside oncall';
        await warn(context.io, `${formatTarget(grant.target)} is not renewed: ${message}`);
        if (isAppError(error) && FINAL.includes(error.code)) return;
        await pause(signal, retryMs);
        retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS);
      }
    }
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}

async function untilHalfLife(
  context: Context,
  credential: HeldCredential,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const waitMs = (secondsLeft(credential, context.now()) - credential.lifeSeconds / 2) * 1000;
    if (waitMs <= 0) return;
    await pause(signal, Math.min(waitMs, TICK_MS));
  }
}
