/**
 * Two ways in which the wall clock gets ahead of the timers: the machine slept (its timers stood still, and the world did not),
 * or somebody set the clock (the world went on as before). Told apart by a clock that counts sleep and that nobody sets.
 */
export interface Clocks {
  /** Milliseconds since 1970: what everybody else goes by. */
  now(): number;
  /** Milliseconds; stands still while the machine sleeps. */
  monotonic(): number;
  /** Milliseconds since the machine started; goes on while it sleeps. */
  uptime(): number;
}

/** Timers of a busy machine are late, but not by this much. */
const PARTED_MS = 5_000;

export interface Parting {
  readonly kind: 'slept' | 'moved';
  /** By how much the wall clock went further than it should have; of a moved clock it may be negative. */
  readonly byMs: number;
}

/** Answers what has happened since it was last asked, or undefined where time simply passed. */
export function watchClocks(clocks: Clocks): () => Parting | undefined {
  const read = () => ({ wall: clocks.now(), steady: clocks.monotonic(), up: clocks.uptime() });
  let last = read();
  return () => {
    const next = read();
    const wall = next.wall - last.wall;
    const moved = wall - (next.up - last.up);
    const parted = wall - (next.steady - last.steady);
    last = next;
    if (Math.abs(moved) > PARTED_MS) return { kind: 'moved', byMs: moved };
    return Math.abs(parted) > PARTED_MS ? { kind: 'slept', byMs: parted } : undefined;
  };
}
