/**
 * OpenSSH user and host certificates (openssh-portable, PROTOCOL.certkeys): Ed25519 and P-256 subjects, signed by an
 * Ed25519 CA. What OpenSSH allows and we refuse to make: a certificate without principals (it is good for every account)
 * and one with serial 0 (no revocation list can name it).
 */
import { randomBytes, verify } from 'node:crypto';
import { AppError } from './errors.ts';
import {
  ECDSA_P256,
  ED25519,
  parseSshPublicKeyBlob,
  type SshKeyType,
  SshReader,
  splitSshLine,
  splitSshPublicKeyBlob,
  sshString,
  sshUint32,
  sshUint64,
} from './ssh-wire.ts';

const SUFFIX = '-cert-v01@openssh.com';
const KINDS = { user: 1, host: 2 } as const;
const WORD = /^[\x21-\x2b\x2d-\x7e]{1,255}$/;
const LINE = /^[\x20-\x7e]{1,1024}$/;

export type SshCertificateKind = keyof typeof KINDS;

export interface CertificateRequest {
  /** The subject's key blob. */
  subjectPublicKey: Uint8Array;
  /** 1 to 2^64 - 1, never used twice under one CA. */
  serial: bigint;
  type: SshCertificateKind;
  /** What sshd logs at each login: one line of printable ASCII. */
  keyId: string;
  /** At least one; printable ASCII without spaces and commas. */
  principals: readonly string[];
  /** The certificate is valid from `validAfterSeconds` on and before `validBeforeSeconds`. */
  validAfterSeconds: number;
  validBeforeSeconds: number;
  criticalOptions: { readonly 'source-address'?: string; readonly 'force-command'?: string };
  /** Names without values, such as `permit-pty`. */
  extensions: readonly string[];
  /** 32 random bytes unless given. */
  nonce?: Uint8Array;
  /** The blob of the CA's Ed25519 key. */
  caPublicKey: Uint8Array;
  /** A raw Ed25519 signature by the CA's key: 64 bytes. */
  sign: (bytes: Uint8Array) => Uint8Array;
}

/** The certificate as one line, `type base64`, without a line end. Throws AppError `invalid_request`. */
export function encodeCertificate(request: CertificateRequest): string {
  const { type, rest } = splitSubject(request.subjectPublicKey);
  checkRequest(request);
  const signedBytes = Buffer.concat([
    sshString(type + SUFFIX),
    sshString(request.nonce ?? randomBytes(32)),
    rest,
    sshUint64(request.serial),
    sshUint32(KINDS[request.type]),
    sshString(request.keyId),
    sshString(Buffer.concat(request.principals.map(sshString))),
    sshUint64(request.validAfterSeconds),
    sshUint64(request.validBeforeSeconds),
    sshString(encodeOptions(Object.entries(request.criticalOptions))),
    sshString(encodeOptions(request.extensions.map((name) => [name, undefined]))),
    sshString(''),
    sshString(request.caPublicKey),
  ]);
  const signature = Buffer.concat([sshString(ED25519), sshString(request.sign(signedBytes))]);
  return `${type}${SUFFIX} ${Buffer.concat([signedBytes, sshString(signature)]).toString('base64')}`;
}

function checkRequest({ serial, keyId, principals, extensions, ...request }: CertificateRequest): void {
  const { validAfterSeconds: after, validBeforeSeconds: before } = request;
  const options = Object.entries(request.criticalOptions);
  const checks: [what: string, holds: boolean][] = [
    ['serial', serial >= 1n && serial < 1n << 64n],
    ['key id', LINE.test(keyId)],
    ['principals', principals.length > 0 && principals.every((principal) => WORD.test(principal))],
    ['validity', Number.isSafeInteger(before) && Number.isSafeInteger(after) && 0 <= after && after < before],
    ['critical option', options.every(([name, value]) => WORD.test(name) && LINE.test(value))],
    [
      'extension',
      extensions.every((name) => WORD.test(name)) && new Set(extensions).size === extensions.length,
    ],
  ];
  for (const [what, holds] of checks) {
    if (!holds) throw new AppError('invalid_request', `cannot make an SSH certificate with this ${what}`);
  }
}

/** Name and data pairs in lexical order, as sshd demands; flags have no data. */
function encodeOptions(options: readonly (readonly [name: string, value: string | undefined])[]): Buffer {
  const sorted = options.toSorted(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat(
    sorted.flatMap(([name, value]) => [
      sshString(name),
      sshString(value === undefined ? '' : sshString(value)),
    ]),
  );
}

export interface SshCertificate {
  /** The subject's key type and blob. */
  keyType: SshKeyType;
  subjectPublicKey: Buffer;
  nonce: Buffer;
  serial: bigint;
  type: SshCertificateKind;
  keyId: string;
  principals: string[];
  validAfterSeconds: number;
  /** Not exact beyond 2^53, which is how "forever" is written. */
  validBeforeSeconds: number;
  criticalOptions: Record<string, string>;
  extensions: string[];
  /** The blob of the key that the certificate says has signed it. */
  caPublicKey: Buffer;
  signedBytes: Buffer;
  /** Raw Ed25519 signature over `signedBytes`. */
  signature: Buffer;
  comment: string;
}

/**
 * Reads a certificate line. Proves nothing about who signed: see {@link isSignedByCa}. Throws AppError `invalid_request` for
 * anything malformed, unsorted or repeated options, and key types other than ours.
 */
export function parseCertificate(line: string): SshCertificate {
  const { type: certificateType, blob, comment } = splitSshLine(line);
  const keyType = subjectType(certificateType);
  const reader = new SshReader(blob);
  if (keyType === undefined || reader.text() !== certificateType) throw malformed();
  const nonce = reader.string();
  const restStart = reader.offset;
  for (let fields = keyType === ED25519 ? 1 : 2; fields > 0; fields--) reader.string();
  const subjectPublicKey = Buffer.concat([sshString(keyType), blob.subarray(restStart, reader.offset)]);
  parseSshPublicKeyBlob(subjectPublicKey);
  const serial = reader.uint64();
  const type = certificateKind(reader.uint32());
  const keyId = reader.text();
  const principals = parseStrings(reader.string());
  const validAfterSeconds = Number(reader.uint64());
  const validBeforeSeconds = Number(reader.uint64());
  const criticalOptions = parseOptions(reader.string());
  const extensions = [...parseOptions(reader.string()).keys()];
  reader.string();
  const caPublicKey = reader.string();
  const signedBytes = blob.subarray(0, reader.offset);
  const signature = parseSignatureBlob(reader.string());
  reader.end();
  return {
    keyType,
    subjectPublicKey,
    nonce,
    serial,
    type,
    keyId,
    principals,
    validAfterSeconds,
    validBeforeSeconds,
    criticalOptions: Object.fromEntries(criticalOptions),
    extensions,
    caPublicKey,
    signedBytes,
    signature,
    comment,
  };
}

/** Whether this CA (its blob), and no other, signed the certificate. Says nothing about time, principals or revocation. */
export function isSignedByCa(certificate: SshCertificate, caPublicKey: Uint8Array): boolean {
  if (!certificate.caPublicKey.equals(caPublicKey)) return false;
  const { type, key } = parseSshPublicKeyBlob(caPublicKey);
  return type === ED25519 && verify(null, certificate.signedBytes, key, certificate.signature);
}

function parseSignatureBlob(blob: Uint8Array): Buffer {
  const reader = new SshReader(blob);
  if (reader.text() !== ED25519) throw malformed();
  const signature = reader.string();
  reader.end();
  return signature;
}

function parseStrings(bytes: Uint8Array): string[] {
  const reader = new SshReader(bytes);
  const strings: string[] = [];
  while (!reader.atEnd) strings.push(reader.text());
  return strings;
}

function parseOptions(bytes: Uint8Array): Map<string, string> {
  const reader = new SshReader(bytes);
  const options = new Map<string, string>();
  let previous = '';
  while (!reader.atEnd) {
    const name = reader.text();
    if (name <= previous) throw malformed();
    const [value = '', ...more] = parseStrings(reader.string());
    if (more.length > 0) throw malformed();
    options.set(name, value);
    previous = name;
  }
  return options;
}

/**
 * The key type, and the fields that follow it in the blob, which the certificate repeats. Attacker-controlled: bytes too
 * many would be read as the serial, the principals and all that comes after.
 */
function splitSubject(blob: Uint8Array): { type: SshKeyType; rest: Uint8Array } {
  const { type } = splitSshPublicKeyBlob(blob);
  return { type, rest: blob.subarray(sshString(type).length) };
}

function subjectType(certificateType: string): SshKeyType | undefined {
  if (certificateType === ED25519 + SUFFIX) return ED25519;
  return certificateType === ECDSA_P256 + SUFFIX ? ECDSA_P256 : undefined;
}

function certificateKind(value: number): SshCertificateKind {
  if (value === KINDS.user) return 'user';
  if (value === KINDS.host) return 'host';
  throw malformed();
}

function malformed(): AppError {
  return new AppError('invalid_request', 'not an SSH certificate of ours');
}
