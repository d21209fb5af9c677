import type { IssueInput, RenewInput } from './issuer.ts';

/**
 * How many milliseconds what is sent may still take effect. Counted, not read off a clock: the store's clock, which set the
 * deadline, the broker's and the target's may differ. Asked after the target's clock was read, a pause of this process in
 * between makes the deadline earlier, never later.
 */
export function countDown({ deadlineMs, nowMs }: IssueInput | RenewInput): () => number {
  const startedAt = performance.now();
  return () => deadlineMs - nowMs - (performance.now() - startedAt);
}
