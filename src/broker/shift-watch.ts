/** Keeps this broker's book of shifts as new as the store: whichever broker read the feed, all of them learn of it. */
import type { Store } from '../store/store.ts';
import type { CurrentRules, Rules } from './rules.ts';

export interface ShiftWatch {
  /**
   * Takes what the store holds now: before these rules come into force, nobody may look into an empty book. Answers whether it
   * was something new.
   */
  fill(rules: Rules): Promise<boolean>;
  /** For the rules in force, now: something has just been read. */
  look(): Promise<void>;
  start(): void;
  stop(): void;
}

/** What other brokers read: feeds are read all the time, each reading is a change, and each look reads all of them. */
const LOOK_MS = 2000;

export function createShiftWatch(
  store: Store,
  rules: CurrentRules,
  { onError, onNew }: { onError: (error: unknown) => void; onNew: () => Promise<void> },
): ShiftWatch {
  let taken: { rules: Rules; version: number } | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;

  async function fill(into: Rules): Promise<boolean> {
    if (into.catalogue.sources.size === 0) return false;
    const snapshots = await store.read(async (tx) => {
      const version = await tx.shiftSnapshotVersion();
      if (taken?.rules === into && taken.version === version) return undefined;
      return { version, rows: await tx.shiftSnapshots() };
    });
    if (!snapshots) return false;
    into.shifts.take(snapshots.rows);
    taken = { rules: into, version: snapshots.version };
    return true;
  }

  function again(): void {
    if (isStopped) return;
    timer = setTimeout(() => void look().catch(onError).finally(again), LOOK_MS);
  }

  async function look(): Promise<void> {
    if (await fill(rules())) await onNew();
  }

  return {
    fill,
    look,
    start: again,
    stop() {
      isStopped = true;
      clearTimeout(timer);
    },
  };
}
