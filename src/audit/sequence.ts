/**
 * Follows the index fields of entries as they come and tells missing entries from entries out of place.
 *
 * A jump ahead can mean either: entries are gone, or they come later, or what came is out of place. So a jump opens a gap,
 * and what comes next decides. Where the old run goes on, the few entries of the jump were moved up (`early`); where a
 * missing entry turns up, it was moved down; what is still missing at the end was dropped.
 */
export interface IndexRange {
  readonly from: number;
  /** Without this one. */
  readonly to: number;
}

export interface Misplaced {
  /** The first position that holds the wrong entry, as far as one can tell. */
  readonly index: number;
  readonly detail: string;
}

/** How many entries moved up are recognised as such at a time; others show entry by entry. Bounds the memory. */
const MAX_EARLY = 1_000;

export class EntrySequence {
  #next = 0;
  #gaps: IndexRange[] = [];
  readonly #early = new Set<number>();
  /** The newest gap and the entry that opened it, while the entries since then follow each other. */
  #jump: { readonly gap: IndexRange; readonly first: number } | undefined;
  #broken = false;

  /** The index that the next entry should have: the number of entries, once all have been seen. */
  get next(): number {
    return this.#next;
  }

  /** Whether an entry was missing or out of place so far: then the tree's root can't be computed. */
  get broken(): boolean {
    return this.#broken;
  }

  /** Entries that have not turned up. Final, as `next` is, after `end()`. */
  get gaps(): readonly IndexRange[] {
    return this.#gaps;
  }

  /** Takes the next entry's index; returns what is now known to be out of place. */
  place(index: number): Misplaced | undefined {
    if (index === this.#next) {
      this.#advance(index + 1);
      return undefined;
    }
    this.#broken = true;
    if (index > this.#next) {
      this.#open(index);
      return undefined;
    }
    return this.#resume(index) ?? this.#fill(index) ?? { index, detail: `entry ${index} appears again` };
  }

  /** A line that can't be read stands where the next entry should be. */
  skip(): void {
    this.#broken = true;
    this.#advance(this.#next + 1);
  }

  /** No entries follow: what should have come before those that came early is missing. */
  end(): void {
    if (this.#early.size > 0) this.#open(Math.max(...this.#early));
  }

  /** Everything from the next entry up to `index` is missing, but for what came early. */
  #open(index: number): void {
    const gap = { from: this.#next, to: index };
    const seen = [...this.#early].filter((early) => early <= index).sort((a, b) => a - b);
    for (const early of seen) this.#early.delete(early);
    let from = gap.from;
    for (const to of [...seen, index]) {
      if (from < to) this.#gaps.push({ from, to });
      from = to + 1;
    }
    this.#jump = seen.length === 0 ? { gap, first: index } : undefined;
    this.#advance(index + 1);
  }

  #resume(index: number): Misplaced | undefined {
    const jump = this.#jump;
    if (jump === undefined || index !== jump.gap.from) return undefined;
    const moved = this.#next - jump.first;
    if (moved > Math.min(jump.gap.to - jump.gap.from, MAX_EARLY - this.#early.size)) return undefined;
    for (let i = jump.first; i < this.#next; i++) this.#early.add(i);
    this.#gaps.pop();
    this.#jump = undefined;
    this.#advance(index + 1);
    return { index, detail: `entry ${jump.first} stands where entry ${index} belongs` };
  }

  #fill(index: number): Misplaced | undefined {
    const at = this.#gaps.findIndex(({ from, to }) => from <= index && index < to);
    const gap = this.#gaps[at];
    if (gap === undefined) return undefined;
    const rest = [
      { from: gap.from, to: index },
      { from: index + 1, to: gap.to },
    ].filter(({ from, to }) => from < to);
    this.#gaps.splice(at, 1, ...rest);
    this.#jump = undefined;
    return { index, detail: `entry ${index} stands after entry ${this.#next - 1}` };
  }

  #advance(next: number): void {
    this.#next = next;
    while (this.#early.delete(this.#next)) this.#next++;
  }
}
