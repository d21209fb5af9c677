/** Medians, because one slow run on a shared machine says nothing about the program. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** The smallest value that at least this share of all values does not exceed. Throws for no values. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const value = sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)];
  if (value === undefined) throw new Error('no values were measured');
  return value;
}

export interface Timing {
  readonly batches: number;
  readonly batchMs: number;
}

const CAREFUL: Timing = { batches: 9, batchMs: 60 };

/** Milliseconds a call, as the median of batches; the first one warms up and does not count. */
export function timePerCall(call: () => unknown, { batches, batchMs }: Timing = CAREFUL): number {
  const batch = () => {
    const started = performance.now();
    let calls = 0;
    let elapsed = 0;
    while (elapsed < batchMs) {
      call();
      calls += 1;
      elapsed = performance.now() - started;
    }
    return elapsed / calls;
  };
  batch();
  return median(Array.from({ length: batches }, batch));
}
