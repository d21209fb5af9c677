import { formatDuration } from '../protocol/durations.ts';

/** Below this the broker's clock and ours are the same to us. */
export const SKEW_MS = 2_000;

/** What a person is told of a clock that is wrong by so much (the broker's minus ours); undefined where it is right. */
export function describeSkew(skewMs: number): string | undefined {
  if (Math.abs(skewMs) <= SKEW_MS) return undefined;
  return `your clock is ${formatDuration(Math.abs(skewMs) / 1000)} ${skewMs > 0 ? 'slow' : 'fast'}`;
}
