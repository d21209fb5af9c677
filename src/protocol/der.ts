/** As much of DER (ITU-T X.690) as a list of revocations needs. */

const TAGS = { integer: 0x02, octetString: 0x04, utcTime: 0x17, generalizedTime: 0x18, sequence: 0x30 };

export function derSequence(...parts: readonly Uint8Array[]): Buffer {
  return derValue(TAGS.sequence, Buffer.concat(parts));
}

/** `[number] EXPLICIT`. */
export function derExplicit(number: number, content: Uint8Array): Buffer {
  return derValue(0xa0 + number, content);
}

export function derOctets(content: Uint8Array): Buffer {
  return derValue(TAGS.octetString, content);
}

/** Of a number that is not negative. */
export function derInteger(value: bigint): Buffer {
  const hex = value.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  const isNegative = ((bytes[0] ?? 0) & 0x80) !== 0;
  return derValue(TAGS.integer, isNegative ? Buffer.concat([Buffer.of(0), bytes]) : bytes);
}

/** To the second. RFC 5280 section 4.1.2.5: UTCTime until 2049, GeneralizedTime after. */
export function derTime(atMs: number): Buffer {
  const digits = new Date(atMs)
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replace(/[-:T]/g, '');
  return Number(digits.slice(0, 4)) < 2050
    ? derValue(TAGS.utcTime, Buffer.from(digits.slice(2)))
    : derValue(TAGS.generalizedTime, Buffer.from(digits));
}

export function derValue(tag: number, content: Uint8Array): Buffer {
  const { length } = content;
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content]);
  const hex = length.toString(16);
  const bytes = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
  return Buffer.concat([Buffer.of(tag, 0x80 + bytes.length), bytes, content]);
}
