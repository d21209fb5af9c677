/**
 * The part of Structured Fields (RFC 8941, RFC 9651) that request signatures need: dictionaries whose members are inner
 * lists of strings with parameters (Signature-Input) or byte sequences (Signature, Content-Digest).
 *
 * Stricter than the RFC on purpose: one spelling per value. Extra white space, a repeated key, parameters on an item,
 * base64 that is not canonical, tokens, decimals, booleans and dates are errors, where a general parser would guess.
 */
import { AppError } from './errors.ts';

/** The value of a parameter. Integers are safe integers of at most 15 digits. */
export type BareItem = string | number | Uint8Array;

export interface InnerList {
  readonly items: readonly string[];
  readonly params: ReadonlyMap<string, BareItem>;
}

export type Dictionary = ReadonlyMap<string, InnerList | Uint8Array>;

const KEY = /[a-z*][a-z0-9_.*-]{0,63}/y;
const STRING = /"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"/y;
const INTEGER = /-?(?:0|[1-9]\d{0,14})(?![\d.])/y;
const BYTES = /:([A-Za-z0-9+/]*={0,2}):/y;

/** Longer fields are refused before they are looked at: no signature of ours comes near it. */
export const MAX_FIELD_LENGTH = 4096;

/**
 * Parses a dictionary of inner lists and byte sequences. Throws AppError `invalid_request` naming the position for
 * anything else, the empty field and fields over {@link MAX_FIELD_LENGTH} included.
 */
export function parseDictionary(text: string): Dictionary {
  if (text.length > MAX_FIELD_LENGTH) throw new AppError('invalid_request', 'structured field is too long');
  const cursor = new Cursor(text);
  const members = new Map<string, InnerList | Uint8Array>();
  do {
    const key = cursor.match(KEY);
    if (members.has(key)) cursor.fail();
    cursor.expect('=');
    members.set(key, cursor.peek('(') ? parseInnerList(cursor) : parseBytes(cursor));
  } while (cursor.skip(', '));
  if (!cursor.atEnd()) cursor.fail();
  return members;
}

/** RFC 8941 section 4.1: the only text that {@link parseDictionary} takes for these members. */
export function serializeDictionary(dictionary: Dictionary): string {
  return [...dictionary]
    .map(
      ([key, member]) =>
        `${serializeKey(key)}=${member instanceof Uint8Array ? serializeBareItem(member) : serializeInnerList(member)}`,
    )
    .join(', ');
}

export function serializeInnerList({ items, params }: InnerList): string {
  const suffix = [...params].map(([key, value]) => `;${serializeKey(key)}=${serializeBareItem(value)}`);
  return `(${items.map(serializeBareItem).join(' ')})${suffix.join('')}`;
}

function serializeKey(key: string): string {
  KEY.lastIndex = 0;
  if (KEY.exec(key)?.[0] !== key) throw new AppError('invalid_request', 'not a structured field key');
  return key;
}

function serializeBareItem(value: BareItem): string {
  if (value instanceof Uint8Array) return `:${Buffer.from(value).toString('base64')}:`;
  if (typeof value === 'number') {
    if (Number.isInteger(value) && Math.abs(value) < 1e15) return String(value);
  } else if (/^[\x20-\x7e]*$/.test(value)) {
    return `"${value.replace(/["\\]/g, '\\$&')}"`;
  }
  throw new AppError('invalid_request', 'a structured field holds printable ASCII and small integers only');
}

function parseInnerList(cursor: Cursor): InnerList {
  cursor.expect('(');
  const items: string[] = [];
  if (!cursor.skip(')')) {
    do items.push(parseString(cursor));
    while (cursor.skip(' '));
    cursor.expect(')');
  }
  const params = new Map<string, BareItem>();
  while (cursor.skip(';')) {
    const key = cursor.match(KEY);
    if (params.has(key)) cursor.fail();
    cursor.expect('=');
    params.set(key, parseBareItem(cursor));
  }
  return { items, params };
}

function parseBareItem(cursor: Cursor): BareItem {
  if (cursor.peek('"')) return parseString(cursor);
  if (cursor.peek(':')) return parseBytes(cursor);
  const digits = cursor.match(INTEGER);
  return digits === '-0' ? cursor.fail() : Number(digits);
}

function parseString(cursor: Cursor): string {
  return cursor.match(STRING).replace(/\\(["\\])/g, '$1');
}

function parseBytes(cursor: Cursor): Uint8Array {
  const text = cursor.match(BYTES);
  const bytes = Buffer.from(text, 'base64');
  return bytes.toString('base64') === text ? bytes : cursor.fail();
}

/** Attacker-controlled text, read from the left; whatever does not fit throws. */
class Cursor {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  atEnd(): boolean {
    return this.#at === this.#text.length;
  }

  peek(literal: string): boolean {
    return this.#text.startsWith(literal, this.#at);
  }

  skip(literal: string): boolean {
    if (!this.peek(literal)) return false;
    this.#at += literal.length;
    return true;
  }

  expect(literal: string): void {
    if (!this.skip(literal)) this.fail();
  }

  /** The first group of a sticky expression, or all of what it matched. */
  match(expression: RegExp): string {
    expression.lastIndex = this.#at;
    const found = expression.exec(this.#text);
    if (found === null) return this.fail();
    this.#at = expression.lastIndex;
    return found[1] ?? found[0];
  }

  fail(): never {
    throw new AppError('invalid_request', `malformed structured field at position ${this.#at}`);
  }
}
