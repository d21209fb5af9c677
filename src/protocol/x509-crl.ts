/**
 * Certificate revocation lists (RFC 5280 section 5) of one CA, written by hand: a general encoder takes seconds for what
 * a night's mass revocation puts into one. A target without a readable list that is still valid refuses everybody.
 */
import { derExplicit, derInteger, derOctets, derSequence, derTime, derValue } from './der.ts';
import { AppError } from './errors.ts';

/** 2.5.29.20, cRLNumber; 2.5.29.35, authorityKeyIdentifier. */
const CRL_NUMBER = Buffer.from('0603551d14', 'hex');
const AUTHORITY_KEY_IDENTIFIER = Buffer.from('0603551d23', 'hex');
/** 1.3.101.112, Ed25519 (RFC 8410); 1.2.840.10045.4.3.2, ECDSA with SHA-256 (RFC 5758 section 3.2). */
const ALGORITHMS = {
  ed25519: Buffer.from('300506032b6570', 'hex'),
  ecdsa: Buffer.from('300a06082a8648ce3d040302', 'hex'),
};
const BIT_STRING = 0x03;
const VERSION_2 = 1n;

export interface CrlContent {
  /** Rises with every list published, so that an older one can be told. At most 20 octets. */
  number: bigint;
  /** The DER of the CA's subject, as certificates name their issuer. */
  issuer: Uint8Array;
  /** The CA's subjectKeyIdentifier. */
  keyIdentifier: Uint8Array;
  thisUpdateMs: number;
  nextUpdateMs: number;
  /** In capital or small hex digits, in any order, repeats allowed. */
  serials: readonly string[];
  algorithm: 'ed25519' | 'ecdsa';
  /** By the CA: raw for Ed25519, DER for ECDSA. */
  sign: (bytes: Uint8Array) => Uint8Array;
}

/** The list's DER. The revocation date of each entry is that of the list. Throws AppError `invalid_request` for a bad serial. */
export function encodeCrl({ thisUpdateMs, nextUpdateMs, ...content }: CrlContent): Buffer {
  const revokedAt = derTime(thisUpdateMs);
  const entries = [...new Set(content.serials.map(parseSerial))].map((serial) =>
    derSequence(derInteger(serial), revokedAt),
  );
  const algorithm = ALGORITHMS[content.algorithm];
  const list = derSequence(
    derInteger(VERSION_2),
    algorithm,
    content.issuer,
    revokedAt,
    derTime(nextUpdateMs),
    // Absent where nothing is revoked (section 5.1.2.6).
    ...(entries.length > 0 ? [derSequence(...entries)] : []),
    derExplicit(
      0,
      derSequence(
        extension(AUTHORITY_KEY_IDENTIFIER, derSequence(derValue(0x80, content.keyIdentifier))),
        extension(CRL_NUMBER, derInteger(content.number)),
      ),
    ),
  );
  const signature = derValue(BIT_STRING, Buffer.concat([Buffer.of(0), content.sign(list)]));
  return derSequence(list, algorithm, signature);
}

function extension(oid: Uint8Array, value: Uint8Array): Buffer {
  return derSequence(oid, derOctets(value));
}

/** Section 4.1.2.2: positive, 20 octets at most. */
function parseSerial(text: string): bigint {
  if (!/^[0-9A-Fa-f]{1,40}$/.test(text)) throw new AppError('invalid_request', 'not a serial');
  return BigInt(`0x${text}`);
}
