import { AppError } from '../protocol/errors.ts';
import { type NoteSigner, parseNote, signNote, verifyNote } from './signed-note.ts';
import { HASH_BYTES } from './tree-hash.ts';

/**
 * C2SP tlog-checkpoint (c2sp.org/tlog-checkpoint): the log's signed word about its size and root.
 *
 *     oncall.example.com/audit
 *     20852163
 *     CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=
 *
 *     — oncall.example.com/audit Az3grlgtzPICa5OS8npVmf1Myq/5…
 *
 * The log must never sign two checkpoints of which one does not begin with the other. The key's name is the origin.
 */
export interface Checkpoint {
  /** The log's name, such as `oncall.example.com/audit`: no spaces, no plus sign. */
  readonly origin: string;
  /** Number of entries. */
  readonly size: number;
  /** 32 bytes. */
  readonly rootHash: Uint8Array;
}

/** The signed note. `signer.name` must be the origin. */
export function formatCheckpoint({ origin, size, rootHash }: Checkpoint, signer: NoteSigner): string {
  if (signer.name !== origin)
    throw new AppError('internal', 'a checkpoint is signed under the name of its log');
  const text = `${origin}\n${size}\n${Buffer.from(rootHash).toString('base64')}\n`;
  parseText(text);
  return signNote(text, signer);
}

/** Reads a checkpoint without believing it: see {@link verifyCheckpoint}. Throws `audit_invalid`. */
export function parseCheckpoint(note: string): Checkpoint {
  return parseText(parseNote(note).text);
}

/**
 * The checkpoint, if the log named `origin` signed it with `publicKey` (raw Ed25519, 32 bytes). Signatures by other keys
 * (witnesses) are ignored, and so are extension lines. Throws `audit_invalid`.
 */
export function verifyCheckpoint(
  note: string,
  trusted: { readonly origin: string; readonly publicKey: Uint8Array },
): Checkpoint {
  const checkpoint = parseText(verifyNote(note, { name: trusted.origin, publicKey: trusted.publicKey }));
  if (checkpoint.origin !== trusted.origin) {
    throw new AppError('audit_invalid', 'the checkpoint is of another log');
  }
  return checkpoint;
}

function parseText(text: string): Checkpoint {
  const [origin = '', size = '', root = '', ...extensions] = text.slice(0, -1).split('\n');
  const rootHash = Buffer.from(root, 'base64');
  if (
    origin === '' ||
    !/^(?:0|[1-9]\d{0,15})$/.test(size) ||
    !Number.isSafeInteger(Number(size)) ||
    rootHash.length !== HASH_BYTES ||
    rootHash.toString('base64') !== root ||
    extensions.includes('')
  ) {
    throw new AppError('audit_invalid', 'not a checkpoint of an audit log');
  }
  return { origin, size: Number(size), rootHash };
}
