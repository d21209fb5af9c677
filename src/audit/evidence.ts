import { AppError, isAppError } from '../protocol/errors.ts';
import { rawPublicKey } from '../protocol/keys.ts';
import { type Checkpoint, verifyCheckpoint } from './checkpoint.ts';
import type { ExportHeader } from './export.ts';
import type { RootBuilder } from './merkle.ts';
import { type Receipt, verifyReceipt } from './receipt.ts';
import type { ProblemKind } from './report.ts';
import { sameBytes } from './tree-hash.ts';

export interface EvidenceOptions {
  /** `ed25519:…`, from the client's pins. */
  readonly logPublicKey?: string | undefined;
  /** `ed25519:…`, from the client's pins. */
  readonly identityPublicKey?: string | undefined;
  /** A checkpoint kept outside the log: the note's text. */
  readonly checkpoint?: string | undefined;
  readonly receipts?: readonly Receipt[] | undefined;
}

/**
 * What was kept outside a log, held against an export as it is read: pinned keys, a checkpoint, receipts. Where no key
 * is pinned the one in the file's header is used, which catches mistakes but no forger.
 */
export class Evidence {
  readonly #origin: string;
  readonly #logKey: Uint8Array;
  readonly #identityKey: Uint8Array;
  readonly #checkpoint: Checkpoint | undefined;
  readonly #receipts = new Map<number, Receipt[]>();
  readonly #report: (index: number | null, kind: ProblemKind, detail: string) => void;

  constructor(
    header: ExportHeader,
    options: EvidenceOptions,
    report: (index: number | null, kind: ProblemKind, detail: string) => void,
  ) {
    const { logPublicKey = header.logPublicKey, identityPublicKey = header.identityPublicKey } = options;
    this.#origin = header.origin;
    this.#logKey = rawKey(logPublicKey);
    this.#identityKey = rawKey(identityPublicKey);
    this.#report = report;
    if (logPublicKey !== header.logPublicKey) {
      report(null, 'checkpoint-mismatch', 'the file names another log key than the pinned one');
    }
    if (identityPublicKey !== header.identityPublicKey) {
      report(null, 'receipt-mismatch', 'the file names another identity key than the pinned one');
    }
    for (const receipt of options.receipts ?? []) this.#keep(receipt);
    if (options.checkpoint !== undefined) {
      this.#checkpoint = this.openCheckpoint(options.checkpoint, 'the outside checkpoint');
    }
  }

  /** Whether there is an outside checkpoint that the log has signed. */
  get hasCheckpoint(): boolean {
    return this.#checkpoint !== undefined;
  }

  /** The checkpoint, if this log signed it; otherwise the problem is reported under `name`. */
  openCheckpoint(note: string, name: string): Checkpoint | undefined {
    try {
      return verifyCheckpoint(note, { origin: this.#origin, publicKey: this.#logKey });
    } catch (error) {
      this.#report(null, 'checkpoint-mismatch', `${name}: ${detailOf(error)}`);
      return undefined;
    }
  }

  /** For each entry as it comes, with the leaf hash that stands beside it. */
  compareEntry(index: number, leafHash: Uint8Array): void {
    for (const receipt of this.#receipts.get(index) ?? []) {
      if (sameBytes(Buffer.from(receipt.leafHash, 'base64url'), leafHash)) continue;
      this.#report(index, 'receipt-mismatch', 'the broker promised another entry at this place');
    }
  }

  /** For the tree at every size, 0 included: the outside checkpoint may be of any moment of the log. */
  compareTree(tree: RootBuilder): void {
    if (this.#checkpoint?.size !== tree.size || sameBytes(this.#checkpoint.rootHash, tree.root())) return;
    const detail = `the first ${tree.size} entries are not those of the outside checkpoint`;
    this.#report(null, 'checkpoint-mismatch', detail);
  }

  /** At the end of a file that holds the entries before `size`. */
  finish(size: number): void {
    for (const index of this.#receipts.keys()) {
      if (index < size) continue;
      this.#report(index, 'dropped', 'a receipt promises this entry: the log was cut, or exported earlier');
    }
    if (this.#checkpoint !== undefined && this.#checkpoint.size > size) {
      const detail = `the outside checkpoint has ${this.#checkpoint.size} entries: the log was cut, or exported earlier`;
      this.#report(size, 'dropped', detail);
    }
  }

  #keep(receipt: Receipt): void {
    try {
      if (receipt.origin !== this.#origin)
        throw new AppError('audit_invalid', 'the receipt is of another log');
      verifyReceipt(receipt, this.#identityKey);
    } catch (error) {
      this.#report(receipt.index, 'receipt-mismatch', detailOf(error));
      return;
    }
    const others = this.#receipts.get(receipt.index);
    if (others === undefined) this.#receipts.set(receipt.index, [receipt]);
    else others.push(receipt);
  }
}

/** Errors of ours are safe to show; of others, nothing. */
export function detailOf(error: unknown): string {
  return isAppError(error) ? error.message : 'it cannot be checked';
}

/** Raw bytes of `ed25519:…`; nothing for any other key, under which no signature verifies. */
function rawKey(text: string): Uint8Array {
  try {
    return text.startsWith('ed25519:') ? rawPublicKey(text) : new Uint8Array();
  } catch {
    return new Uint8Array();
  }
}
