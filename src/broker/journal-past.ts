/** What a journal told before: on the page that is being read, else as the audit log has it. */

import { hashOfLine } from '../audit/journal-line.ts';
import { isRecord } from '../audit/json-shape.ts';
import { emptyHead, type JournalEntry, type JournalHead, parseEntry } from '../break-glass/journal-entry.ts';
import type { AuditRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';

/** A journal that was rolled back again and again has several entries of one number. */
const MOST_OF_ONE_NUMBER = 100;

/** What an entry of a journal is found by in the log. */
export function entryName(device: string, seq: number): string {
  return `${device}/${seq}`;
}

export class JournalPast {
  readonly #tx: ReadTx;
  readonly #device: string;
  readonly #page = new Map<number, JournalEntry>();
  #begin: JournalEntry | undefined;

  constructor(tx: ReadTx, device: string) {
    this.#tx = tx;
    this.#device = device;
  }

  add(entry: JournalEntry): void {
    this.#page.set(entry.seq, entry);
    if (entry.event.type === 'begin') this.#begin = entry;
  }

  /** The newest of this number. */
  async entry(seq: number): Promise<JournalEntry | undefined> {
    const read = this.#page.get(seq);
    if (read) return read;
    const [row] = await this.rows(seq);
    return row && parseEntry(lineIn(row));
  }

  /** Whether the log has this very line. */
  async has(line: string, seq: number): Promise<boolean> {
    return (await this.rows(seq)).some((row) => lineIn(row) === line);
  }

  /** Where the journal stood when this was its newest entry; of one that is not known, at its beginning. */
  async headAt(seq: number): Promise<JournalHead> {
    const [row] = seq === 0 ? [] : await this.rows(seq);
    return row ? { seq, hash: hashOfLine(lineIn(row)) } : emptyHead(this.#device);
  }

  /** The beginning of the run that is being told of. */
  async begin(): Promise<JournalEntry | undefined> {
    if (this.#begin) return this.#begin;
    const [row] = await this.#tx.auditSearch({ event: 'journal.begin', subject: this.#device, limit: 1 });
    return row && parseEntry(lineIn(row));
  }

  /** Newest first. */
  async rows(seq: number): Promise<readonly AuditRow[]> {
    const subject = entryName(this.#device, seq);
    const rows = await this.#tx.auditSearch({ subject, limit: MOST_OF_ONE_NUMBER });
    return rows.filter((row) => lineIn(row) !== '');
  }
}

/** The line that an entry of the log embeds; empty where it embeds none. */
export function lineIn({ entry }: AuditRow): string {
  const { data } = JSON.parse(entry) as { data: unknown };
  return isRecord(data) && typeof data.line === 'string' ? data.line : '';
}
