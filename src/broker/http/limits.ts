/**
 * A token bucket for each source, an address or a device: bursts are fine, floods are not. Memory is bounded; the oldest are
 * forgotten.
 */
export interface RateLimit {
  /** False when this source has used up its share. */
  take(source: string, nowMs: number): boolean;
  /** What was taken turned out to be another source's. */
  giveBack(source: string): void;
}

const MOST_SOURCES = 10_000;

export function createRateLimit(perSecond: number, burst = perSecond * 5): RateLimit {
  const buckets = new Map<string, { tokens: number; at: number }>();
  return {
    take(source, nowMs) {
      const bucket = buckets.get(source) ?? { tokens: burst, at: nowMs };
      const refilled = Math.min(burst, bucket.tokens + ((nowMs - bucket.at) / 1000) * perSecond);
      buckets.delete(source);
      buckets.set(source, { tokens: Math.max(0, refilled - 1), at: nowMs });
      if (buckets.size > MOST_SOURCES) {
        const [oldest] = buckets.keys();
        if (oldest !== undefined) buckets.delete(oldest);
      }
      return refilled >= 1;
    },
    giveBack(source) {
      const bucket = buckets.get(source);
      if (bucket) bucket.tokens = Math.min(burst, bucket.tokens + 1);
    },
  };
}
