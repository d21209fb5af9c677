import { expect } from 'vitest';
import { Evening, MINUTE } from './evening.ts';

export const WIDE = `automation:
  orders: { on: { alert: { service: orders, priority: P1 } }, bundle: wide }
notify:
  hook: { type: webhook, url: "https://127.0.0.1:1/hook", secret: { env: HOOK }, notices: [ending, opened] }
`;
export const env = { HOOK: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw' };
export const people = ['ana', 'dora'] as const;
export const GRACE = 10 * MINUTE;

/** An evening on which Ana uses what an alert has made ready on db-host; db-web stays ready. */
export async function inUse(
  options: { catalogue?: string; startsAt?: number; policy?: string; more?: string } = {},
) {
  const evening = await Evening.start({ more: WIDE, env, people, ...options });
  await evening.page('fire', { startedAtMs: evening.clock.ms });
  const [grant] = await evening.open('ana');
  const { result, status } = await evening.issue('ana', grant!.id);
  expect(status).toBe(200);
  return { evening, id: grant!.id, credential: result };
}
