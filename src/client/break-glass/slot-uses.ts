/** What a journal says of the slots of packs: which have been opened, for what, and whether they still are. Pure. */
import type { JournalEntry } from '../../break-glass/journal-entry.ts';

/** One opening. */
export interface SlotUse {
  readonly pack: string;
  readonly slot: number;
  readonly resource: string;
  readonly role: string;
  readonly reason: string;
  readonly incident: string | null;
  readonly drill: boolean;
  readonly openedAt: string;
  /** Number of its entry. */
  readonly entry: number;
  readonly isOpen: boolean;
}

/** A pack covers a day at most: whatever was opened of one that is older concerns no pack that could be opened. */
const FORGOTTEN_MS = 3 * 86_400_000;

/** The uses after these entries; what is closed and long ago goes. */
export function usesAfter(
  before: readonly SlotUse[],
  entries: readonly JournalEntry[],
  nowMs: number,
): SlotUse[] {
  let uses = [...before];
  for (const { seq, at, event } of entries) {
    if (event.type === 'open') {
      const { pack, slot, resource, role, reason, incident, drill } = event;
      const use = { pack, slot, resource, role, reason, incident, drill };
      uses = [...uses.filter((one) => !isOf(one, event)), { ...use, openedAt: at, entry: seq, isOpen: true }];
    } else if (event.type === 'close') {
      uses = uses.map((one) => (isOf(one, event) ? { ...one, isOpen: false } : one));
    }
  }
  return uses.filter(({ isOpen, openedAt }) => isOpen || nowMs - Date.parse(openedAt) < FORGOTTEN_MS);
}

export function isOf(use: SlotUse, { pack, slot }: { pack: string; slot: number }): boolean {
  return use.pack === pack && use.slot === slot;
}
