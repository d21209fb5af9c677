/**
 * The journals of devices, as the log embeds them line by line: that each line is signed by its device and follows the one that
 * the log holds before it. Where a journal broke, its entry says so (`follows: false`); where its end was moved, an entry of the
 * broker's says where to. A break that the log does not tell of is the log's.
 */
import { AppError, isAppError } from '../protocol/errors.ts';
import type { AuditEntry } from './entry.ts';
import {
  doesFollow,
  emptyHead,
  hashOfLine,
  type JournalHead,
  parseJournalLine,
  requireSigned,
} from './journal-line.ts';
import { isBase64url, isRecord, isText, isWhole } from './json-shape.ts';
import type { ProblemKind } from './report.ts';

/** Entries that hold a line. */
const LINES = new Set(['begin', 'outage', 'open', 'use', 'login', 'close'].map((type) => `journal.${type}`));
/** Entries that say where a journal stands from here on. */
const MOVES = new Set(['journal.rolled-back', 'journal.resumed']);
const HASH_BYTES = 32;

export class EmbeddedJournals {
  readonly #heads = new Map<string, JournalHead>();

  /** Takes the next entry; answers what is wrong with it. `keyOf`: the signing key that the log enrolled for a device. */
  take(
    entry: AuditEntry,
    keyOf: (device: string) => string | undefined,
  ): { kind: ProblemKind; detail: string } | undefined {
    try {
      if (LINES.has(entry.event)) return this.#takeLine(entry, keyOf);
      if (MOVES.has(entry.event)) this.#move(entry);
      return undefined;
    } catch (error) {
      const detail = isAppError(error) ? error.message : 'the entry of the journal cannot be checked';
      return { kind: 'bad-signature', detail };
    }
  }

  #takeLine(
    { actor, data, event }: AuditEntry,
    keyOf: (device: string) => string | undefined,
  ): { kind: ProblemKind; detail: string } | undefined {
    const text = isRecord(data) && isText(data.line) ? data.line : '';
    const line = parseJournalLine(text);
    const publicKey = keyOf(line.device);
    if (publicKey === undefined || actor.device !== line.device)
      throw new AppError(
        'audit_invalid',
        "the entry of the journal is of another device than the entry's actor",
      );
    requireSigned(line, { id: line.device, publicKey });
    if (!isRecord(line.event) || `journal.${String(line.event.type)}` !== event)
      throw new AppError('audit_invalid', 'the entry of the journal tells something else than the log');
    const head = this.#heads.get(line.device) ?? emptyHead(line.device);
    this.#heads.set(line.device, { seq: line.seq, hash: hashOfLine(text) });
    const isTold = isRecord(data) && data.follows === false;
    if (isTold || doesFollow(line, head)) return undefined;
    return {
      kind: 'journal-gap',
      detail: `entry ${line.seq} of the journal of ${line.device} does not follow entry ${head.seq}`,
    };
  }

  #move({ subject, data }: AuditEntry): void {
    const head = isRecord(data) ? data.head : undefined;
    const device = subject?.device;
    if (!isText(device) || !isRecord(head) || !isWhole(head.seq) || !isBase64url(head.hash, HASH_BYTES))
      throw new AppError('audit_invalid', 'the entry does not say where the journal stands');
    this.#heads.set(device, { seq: head.seq, hash: head.hash });
  }
}
