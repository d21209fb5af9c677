/** Something opened for each item of a catalogue when it is needed first: kept while the item is in force, closed after. */
export interface OpenedOnce<K extends object, V> {
  /** What failed to open is tried again the next time. */
  get(item: K): Promise<V>;
  /** Closes what belongs to none of these. */
  keep(items: Iterable<K>): Promise<void>;
}

export function createOpenedOnce<K extends object, V>(
  open: (item: K) => Promise<V>,
  close: (opened: V) => Promise<void>,
): OpenedOnce<K, V> {
  const all = new Map<K, Promise<V>>();
  return {
    get(item) {
      const known = all.get(item);
      if (known) return known;
      const opening = open(item);
      all.set(item, opening);
      opening.catch(() => all.delete(item));
      return opening;
    },
    async keep(items) {
      const kept = new Set(items);
      for (const [item, opening] of all) {
        if (kept.has(item)) continue;
        all.delete(item);
        await opening.then(close).catch(() => undefined);
      }
    },
  };
}
