import type { Checkpoint } from './checkpoint.ts';
import { EmbeddedJournals } from './embedded-journals.ts';
import { EnrolledDevices } from './enrolled-devices.ts';
import type { AuditEntry } from './entry.ts';
import { detailOf, Evidence, type EvidenceOptions } from './evidence.ts';
import { type ExportHeader, type ExportLine, parseHeader, parseLine } from './export.ts';
import { RootBuilder } from './merkle.ts';
import {
  compareProblems,
  MAX_PROBLEMS,
  type Problem,
  type ProblemKind,
  type VerifyReport,
} from './report.ts';
import { EntrySequence } from './sequence.ts';
import { sameBytes } from './tree-hash.ts';

export type { Problem, ProblemKind, VerifyReport } from './report.ts';

/**
 * Offline verification of an export. Streaming, in one pass: time grows with the number of entries, memory with the
 * devices, receipts and problems only.
 *
 * What is found, and where it is said to be:
 * - An entry edited in the file or in the store: it no longer matches the leaf hash beside it: `edited`, with its index. If
 *   the root still matches the checkpoint, nothing else was touched. An entry edited *together with* its leaf hash changes
 *   the root: `checkpoint-mismatch` without an index, and `receipt-mismatch` with the index where a receipt covers it.
 * - Entries taken out, moved or repeated: `dropped` or `reordered`, at the first index that is wrong. If all that follows was
 *   renumbered and hashed again: as above.
 * - The tail cut off: the checkpoint line promises more entries: `dropped`. The checkpoint line cut off: `malformed`.
 * - A request that its device did not sign as it stands, a device that the log had not enrolled before, a device of
 *   someone else than the actor, an enrolment that its own key did not sign: `bad-signature`, with the index.
 * - An entry of a device's journal that the device did not sign as it stands: `bad-signature`. One that does not follow the one
 *   before it, though the log does not say that the journal broke there: `journal-gap`.
 * - A checkpoint that the log's key did not sign, for another log, or for another content: `checkpoint-mismatch`.
 *
 * What only an outside checkpoint shows (one that a client or an auditor kept; `checkpoint`):
 * - Truncation by someone who also puts back an older checkpoint of the same log: up to that size the file is genuine.
 * - A rewrite by whoever holds the log's key. Receipts show it for the entries that they cover.
 * Without one, `truncation` is `not checkable`. With one, nothing up to its size is missing or changed unless the report
 * says so; about entries after it, the file's own checkpoint is the log's word alone.
 *
 * What is not shown by any of this: that what the broker decided was right, that it logged everything it did (receipts
 * and the targets' own logs show that), that an embedded request was fresh when it was taken or that its device was not
 * revoked then. Of an enrolment the signed body is not kept, since it holds the invitation's code: that its key was there
 * is shown, the device's name and sealing key are the broker's word.
 *
 * Trust: keys in the file's header are hints. Without a pinned log key (`logPublicKey`) everything could have been
 * made up by anyone, which the report says as `logKey: 'from the file'`.
 */
/** Throws `audit_invalid` for what is no export at all or has unreadable lines; everything else is in the report. */
export async function verifyExport(
  lines: AsyncIterable<string>,
  options: EvidenceOptions = {},
): Promise<VerifyReport> {
  let check: ExportCheck | undefined;
  for await (const line of lines) {
    if (check === undefined) check = new ExportCheck(parseHeader(line), options);
    else check.line(line);
    if (check.full) break;
  }
  check ??= new ExportCheck(parseHeader(undefined), options);
  return check.finish();
}

class ExportCheck {
  readonly #header: ExportHeader;
  readonly #options: EvidenceOptions;
  readonly #evidence: Evidence;
  readonly #problems: Problem[] = [];
  readonly #sequence = new EntrySequence();
  readonly #tree = new RootBuilder();
  readonly #devices = new EnrolledDevices();
  readonly #journals = new EmbeddedJournals();
  #entries = 0;
  #own: Checkpoint | 'bad' | undefined;

  constructor(header: ExportHeader, options: EvidenceOptions) {
    this.#header = header;
    this.#options = options;
    this.#evidence = new Evidence(header, options, (...problem) => this.#report(...problem));
    this.#evidence.compareTree(this.#tree);
  }

  /** Not worth reading further. */
  get full(): boolean {
    return this.#problems.length + this.#sequence.gaps.length >= MAX_PROBLEMS;
  }

  line(text: string): void {
    let line: ExportLine;
    try {
      line = parseLine(text);
    } catch (error) {
      this.#report(this.#sequence.next, 'malformed', detailOf(error));
      this.#sequence.skip();
      return;
    }
    if (this.#own !== undefined) {
      const index = line.kind === 'entry' ? line.entry.index : null;
      this.#report(index, 'malformed', 'stands after the checkpoint');
    } else if (line.kind === 'checkpoint') {
      this.#own = this.#evidence.openCheckpoint(line.checkpoint, "the file's checkpoint") ?? 'bad';
    } else {
      this.#entry(line);
    }
  }

  finish(): VerifyReport {
    this.#sequence.end();
    const { next, gaps, broken } = this.#sequence;
    // Where reading stopped early, nothing can be said about the end.
    if (!this.full) {
      this.#evidence.finish(next);
      this.#finishOwn(next);
    }
    for (const { from, to } of gaps) this.#report(from, 'dropped', `${span(from, to)} missing`);
    return {
      origin: this.#header.origin,
      entries: this.#entries,
      rootHash: broken ? null : Buffer.from(this.#tree.root()).toString('base64'),
      problems: this.#problems.toSorted(compareProblems),
      truncation: this.#evidence.hasCheckpoint ? 'checked' : 'not checkable',
      logKey: this.#options.logPublicKey === undefined ? 'from the file' : 'pinned',
    };
  }

  #entry({ entry, leafHash, computedLeafHash, canonical }: ExportLine & { kind: 'entry' }): void {
    const edited = !sameBytes(leafHash, computedLeafHash);
    // An edited entry's own index may be what was edited: the place where it stands counts.
    const index = edited ? this.#sequence.next : entry.index;
    this.#entries++;
    const misplaced = this.#sequence.place(index);
    if (misplaced !== undefined) this.#report(misplaced.index, 'reordered', misplaced.detail);
    if (!canonical) this.#report(index, 'not-canonical', 'the line is not in canonical form');
    if (edited) this.#report(index, 'edited', 'the entry does not match the leaf hash beside it');
    this.#evidence.compareEntry(index, leafHash);
    this.#checkSigner(index, entry);
    // The tree is built from the hashes beside the entries: if it matches the checkpoint, they are the log's own.
    if (this.#sequence.broken) return;
    this.#tree.append(leafHash);
    this.#evidence.compareTree(this.#tree);
  }

  #checkSigner(index: number, entry: AuditEntry): void {
    try {
      this.#devices.take(entry);
    } catch (error) {
      this.#report(index, 'bad-signature', detailOf(error));
    }
    const wrong = this.#journals.take(entry, (device) => this.#devices.keyOf(device));
    if (wrong !== undefined) this.#report(index, wrong.kind, wrong.detail);
  }

  #finishOwn(size: number): void {
    const own = this.#own;
    if (own === undefined) {
      this.#report(size, 'malformed', 'the file ends without its checkpoint');
    } else if (own === 'bad') {
      return;
    } else if (own.size > size) {
      this.#report(size, 'dropped', `${span(size, own.size)} missing at the end`);
    } else if (own.size < size) {
      this.#report(own.size, 'checkpoint-mismatch', 'the checkpoint covers only the entries before this one');
    } else if (!this.#sequence.broken && !sameBytes(own.rootHash, this.#tree.root())) {
      this.#report(null, 'checkpoint-mismatch', 'the checkpoint was signed for other entries');
    }
  }

  #report(index: number | null, kind: ProblemKind, detail: string): void {
    if (this.#problems.length < MAX_PROBLEMS) this.#problems.push({ index, kind, detail });
  }
}

function span(from: number, to: number): string {
  return to - from === 1 ? `entry ${from} is` : `entries ${from} to ${to - 1} are`;
}
