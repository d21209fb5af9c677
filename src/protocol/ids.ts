import { randomBytes } from 'node:crypto';

/** Crockford's base 32, lower case: no i, l, o, u, so an id survives being read out over the phone. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

export type IdPrefix = 'req' | 'gr' | 'cr' | 'dev' | 'bg' | 'inc' | 'job' | 'cor' | 'rev' | 'dlv' | 'drl';

/**
 * A prefixed, sortable id: 45 bits of milliseconds since 1970 (9 characters, good until 3084) and 50 random bits
 * (10 characters). Ids sort by time of making; uniqueness rests on the random part.
 */
export function createId(prefix: IdPrefix, nowMs: number): string {
  let time = '';
  for (let rest = nowMs, i = 0; i < 9; i++, rest = Math.floor(rest / 32)) time = ALPHABET[rest % 32] + time;
  return `${prefix}_${time}${encodeBase32(random(7)).slice(0, 10)}`;
}

/** A call for random bytes costs more than the bytes: they come in stock, and each is given out once. */
let stock = Buffer.alloc(0);
const STOCK_BYTES = 1024;

function random(length: number): Uint8Array {
  if (stock.length < length) stock = randomBytes(STOCK_BYTES);
  const bytes = stock.subarray(0, length);
  stock = stock.subarray(length);
  return bytes;
}

/** Base 32 of bytes, most significant bit first, without padding. */
export function encodeBase32(bytes: Uint8Array): string {
  let out = '';
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = ((value << 8) | byte) & 0xffff;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      out += ALPHABET[(value >> bits) & 31];
    }
  }
  return bits > 0 ? out + ALPHABET[(value << (5 - bits)) & 31] : out;
}

/** Reverses {@link encodeBase32}; undefined for a character outside the alphabet. Case does not matter. */
export function decodeBase32(text: string): Uint8Array | undefined {
  const out: number[] = [];
  let bits = 0;
  let value = 0;
  for (const char of text.toLowerCase()) {
    const digit = ALPHABET.indexOf(char);
    if (digit < 0) return undefined;
    value = ((value << 5) | digit) & 0xfff;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out.push((value >> bits) & 0xff);
    }
  }
  return Uint8Array.from(out);
}

const ID = /^(req|gr|cr|dev|bg|inc|job|cor|rev|dlv|drl)_[0-9a-hjkmnp-tv-z]{19}$/;

export function isId(text: string): boolean {
  return ID.test(text);
}
