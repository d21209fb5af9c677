/** Keeps this broker's book of shifts as new as the store: whichever broker read the feed, all of them learn of it. */
import type { Store } from '../store/store.ts';
import type { CurrentRules, Rules } from './rules.ts';

export interface ShiftWatch {
  /** Takes what the store holds now; answers whether it was something new. */
  refresh(): Promise<boolean>;
  start(): void;
  stop(): void;
}

const LOOK_MS = 2000;

export function createShiftWatch(
  store: Store,
  rules: CurrentRules,
  onError: (error: unknown) => void,
): ShiftWatch {
  let taken: { rules: Rules; version: number } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function refresh(): Promise<boolean> {
    const current = rules();
    if (current.catalogue.sources.size === 0) return false;
    const snapshots = await store.read(async (tx) => {
      const version = await tx.shiftSnapshotVersion();
      if (taken?.rules === current && taken.version === version) return undefined;
      return { version, rows: await tx.shiftSnapshots() };
    });
    if (!snapshots) return false;
    current.shifts.take(snapshots.rows);
    taken = { rules: current, version: snapshots.version };
    return true;
  }

  function again(): void {
    if (isStopped) return;
    timer = setTimeout(() => void refresh().catch(onError).finally(again), LOOK_MS);
  }

  return {
    refresh,
    start: again,
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
