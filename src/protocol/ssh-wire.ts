/**
 * SSH's binary encodings (RFC 4251 section 5) and the public keys we use in them: Ed25519 (RFC 8709) and ECDSA P-256
 * (RFC 5656). A "blob" is a public key in the wire form, the bytes that a line in authorized_keys carries in base64.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { AppError } from './errors.ts';
import { formatPublicKey, parsePublicKey, rawPublicKey } from './keys.ts';

export type SshKeyType = 'ssh-ed25519' | 'ecdsa-sha2-nistp256';

export const ED25519 = 'ssh-ed25519';
export const ECDSA_P256 = 'ecdsa-sha2-nistp256';
const CURVE = 'nistp256';

/** `string`: four bytes of length, then the bytes; text goes as UTF-8. */
export function sshString(value: string | Uint8Array): Buffer {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value;
  return Buffer.concat([sshUint32(bytes.length), bytes]);
}

export function sshUint32(value: number): Buffer {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32BE(value);
  return out;
}

export function sshUint64(value: bigint | number): Buffer {
  const out = Buffer.allocUnsafe(8);
  out.writeBigUInt64BE(BigInt(value));
  return out;
}

/** `mpint` of a number that is not negative, given as big-endian bytes: shortest form, a zero byte before a high bit. */
export function sshMpint(magnitude: Uint8Array): Buffer {
  let start = 0;
  while (start < magnitude.length && magnitude[start] === 0) start++;
  const digits = magnitude.subarray(start);
  return sshString((digits[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.of(0), digits]) : digits);
}

/** Attacker-controlled bytes, read from the left. Every read that does not fit throws AppError `invalid_request`. */
export class SshReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** How many bytes have been read. */
  get offset(): number {
    return this.#at;
  }

  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  bytes(length: number): Buffer {
    if (length > this.#bytes.length - this.#at) throw new AppError('invalid_request', 'truncated SSH data');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  uint64(): bigint {
    return this.bytes(8).readBigUInt64BE();
  }

  string(): Buffer {
    return this.bytes(this.uint32());
  }

  /** A `string` that has to be UTF-8. */
  text(): string {
    const bytes = this.string();
    const text = bytes.toString('utf8');
    if (!Buffer.from(text).equals(bytes)) throw new AppError('invalid_request', 'SSH text is not UTF-8');
    return text;
  }

  /** The magnitude of an `mpint`, in its shortest form; negative ones are refused. */
  mpint(): Buffer {
    const bytes = this.string();
    const [first = 1, second = 0x80] = bytes;
    if (first >= 0x80 || (first === 0 && second < 0x80) || (first === 0 && bytes.length === 1)) {
      throw new AppError('invalid_request', 'malformed SSH integer');
    }
    return first === 0 ? bytes.subarray(1) : bytes;
  }

  end(): void {
    if (!this.atEnd) throw new AppError('invalid_request', 'unexpected bytes after SSH data');
  }
}

/** The blob of an Ed25519 or P-256 key (the public half of a private one). Throws AppError `invalid_request` for others. */
export function sshPublicKeyBlob(key: KeyObject): Buffer {
  const text = formatPublicKey(key);
  const raw = rawPublicKey(text);
  if (text.startsWith('ed25519:')) return Buffer.concat([sshString(ED25519), sshString(raw)]);
  if (text.startsWith('p256:')) {
    return Buffer.concat([sshString(ECDSA_P256), sshString(CURVE), sshString(raw)]);
  }
  throw new AppError('invalid_request', 'SSH has no keys of this kind');
}

/**
 * Takes a blob apart: the type and the raw key, of the right length, with nothing after it. Does not check that a P-256
 * point is on the curve. Throws AppError `invalid_request`.
 */
export function splitSshPublicKeyBlob(blob: Uint8Array): { type: SshKeyType; raw: Buffer } {
  const reader = new SshReader(blob);
  const type = reader.text();
  if (type !== ED25519 && type !== ECDSA_P256) {
    throw new AppError('invalid_request', 'not an ssh-ed25519 or ecdsa-sha2-nistp256 key');
  }
  if (type === ECDSA_P256 && reader.text() !== CURVE)
    throw new AppError('invalid_request', 'not a P-256 key');
  const raw = reader.string();
  reader.end();
  if (raw.length !== (type === ED25519 ? 32 : 65))
    throw new AppError('invalid_request', 'bad SSH key length');
  return { type, raw };
}

/** Reads a blob; the key is checked to be one. Throws AppError `invalid_request`. */
export function parseSshPublicKeyBlob(blob: Uint8Array): { type: SshKeyType; key: KeyObject } {
  const { type, raw } = splitSshPublicKeyBlob(blob);
  const kind = type === ED25519 ? 'ed25519' : 'p256';
  return { type, key: parsePublicKey(`${kind}:${raw.toString('base64url')}`) };
}

export interface SshPublicKey {
  type: SshKeyType;
  blob: Buffer;
  key: KeyObject;
  comment: string;
}

/** `type base64 [comment]`, without a line end. The comment is one line of printable text. */
export function formatSshPublicKey(key: KeyObject | Uint8Array, comment = ''): string {
  const blob = key instanceof Uint8Array ? Buffer.from(key) : sshPublicKeyBlob(key);
  const { type } = parseSshPublicKeyBlob(blob);
  if (!isComment(comment)) throw new AppError('invalid_request', 'not an SSH key comment');
  return [type, blob.toString('base64'), ...(comment === '' ? [] : [comment])].join(' ');
}

/**
 * Strict inverse of {@link formatSshPublicKey}, with or without one line end: no options before the key, one space between
 * the fields, canonical base64, the type twice the same. Throws AppError `invalid_request`.
 */
export function parseSshPublicKey(line: string): SshPublicKey {
  const { type, blob, comment } = splitSshLine(line);
  const parsed = parseSshPublicKeyBlob(blob);
  if (parsed.type !== type) throw new AppError('invalid_request', 'the SSH key is not of the type it says');
  return { ...parsed, blob, comment };
}

/** The three fields of a public key's or certificate's line; throws AppError `invalid_request`. At most 16 KiB. */
export function splitSshLine(line: string): { type: string; blob: Buffer; comment: string } {
  if (line.length > 16_384) throw new AppError('invalid_request', 'the SSH key line is too long');
  const [, type = '', encoded = '', comment = ''] =
    /^([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/]+={0,2})(?: ([^\r\n]*))?\n?$/.exec(line) ?? [];
  const blob = Buffer.from(encoded, 'base64');
  if (encoded === '' || blob.toString('base64') !== encoded || !isComment(comment)) {
    throw new AppError('invalid_request', 'not an SSH public key line');
  }
  return { type, blob, comment };
}

/** `SHA256:…` as ssh-keygen prints it. */
export function sshFingerprint(blob: Uint8Array): string {
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

function isComment(text: string): boolean {
  return text.length <= 256 && !/[\u0000-\u001f\u007f-\u009f]/.test(text);
}
