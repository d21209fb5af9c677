import { hash } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import { ED25519_KEY_BYTES, isSignedBy } from './ed25519.ts';
import { sameBytes } from './tree-hash.ts';

/**
 * C2SP signed-note (c2sp.org/signed-note): a text that ends in a newline, an empty line, then one signature a line,
 * `— <key name> base64(key id || signature)`. Ed25519 alone (signature type 0x01).
 *
 * Signatures by unknown keys are ignored, so that logs can rotate keys and witnesses can cosign; a bad signature under the
 * name and id of the key we trust rejects the note.
 */
export interface NoteSigner {
  /** The key's name: not empty, no spaces, no plus sign. For a log: its origin. */
  readonly name: string;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

export interface NoteVerifier {
  readonly name: string;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
}

interface Note {
  readonly text: string;
  readonly signatures: readonly { name: string; keyId: Uint8Array; signature: Uint8Array }[];
}

const ED25519_TYPE = 1;
const KEY_ID_BYTES = 4;
/** Room for sixteen post-quantum cosignatures, which the specification asks verifiers to accept. */
const MAX_NOTE_CHARS = 131_072;
const SIGNATURE_LINE = /^— ([^\s+]+) ([A-Za-z0-9+/]+={0,2})$/;

/** The note for `text` (which ends in a newline) with one signature. */
export function signNote(text: string, signer: NoteSigner): string {
  if (!/^[^\s+]+$/.test(signer.name) || signer.publicKey.length !== ED25519_KEY_BYTES) {
    throw new AppError('config_invalid', 'the key of the audit log needs a name without spaces and 32 bytes');
  }
  const signature = Buffer.concat([keyId(signer), signer.sign(Buffer.from(text))]);
  return `${text}\n— ${signer.name} ${signature.toString('base64')}\n`;
}

/** The text of a note that `verifier` has signed. Throws `audit_invalid` for any other note. */
export function verifyNote(note: string, verifier: NoteVerifier): string {
  const { text, signatures } = parseNote(note);
  const wanted = keyId(verifier);
  const ours = signatures.filter(({ name, keyId }) => name === verifier.name && sameBytes(keyId, wanted));
  const message = Buffer.from(text);
  if (!ours.every(({ signature }) => isSignedBy(verifier.publicKey, message, signature))) {
    throw new AppError('audit_invalid', 'the signature of the note is wrong');
  }
  if (ours.length === 0) throw new AppError('audit_invalid', 'the note is not signed by the expected key');
  return text;
}

/** Splits a note without believing it: attacker-controlled until {@link verifyNote} has passed. Throws `audit_invalid`. */
export function parseNote(note: string): Note {
  const end = note.lastIndexOf('\n\n');
  if (note.length > MAX_NOTE_CHARS || end < 0 || !note.endsWith('\n') || /[\0-\x09\x0b-\x1f]/.test(note)) {
    throw malformed();
  }
  const lines = note.slice(end + 2, -1).split('\n');
  return { text: note.slice(0, end + 1), signatures: lines.map(parseSignature) };
}

function parseSignature(line: string): Note['signatures'][number] {
  const [, name = '', base64 = ''] = SIGNATURE_LINE.exec(line) ?? [];
  const bytes = Buffer.from(base64, 'base64');
  if (bytes.length <= KEY_ID_BYTES || bytes.toString('base64') !== base64) throw malformed();
  return { name, keyId: bytes.subarray(0, KEY_ID_BYTES), signature: bytes.subarray(KEY_ID_BYTES) };
}

/** A key's name and id as C2SP writes them in verifier keys: `<name>+<8 hex digits>`. */
export function formatKeyName(key: NoteVerifier): string {
  return `${key.name}+${keyId(key).toString('hex')}`;
}

function keyId({ name, publicKey }: NoteVerifier): Buffer {
  const input = Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519_TYPE), publicKey]);
  return hash('sha256', input, 'buffer').subarray(0, KEY_ID_BYTES);
}

function malformed(): AppError {
  return new AppError('audit_invalid', 'not a signed note');
}
