/**
 * JSON from outside. JSON.parse takes what two readers can understand differently (a key given twice), what can poison
 * an object (`__proto__`), and what canonical JSON cannot hold afterwards (lone surrogates, numbers beyond a double).
 * A scanner refuses those first, with the position; then JSON.parse makes the value.
 */
import { AppError } from './errors.ts';

const REFUSED_KEYS = new Set(['__proto__', 'constructor', 'prototype']);
const SPACE = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const ESCAPE = /\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})/y;
const LITERAL = /true|false|null/y;

export interface StrictJsonOptions {
  /** How many arrays and objects may be nested. 32 unless told. */
  maxDepth?: number;
}

/**
 * Parses UTF-8 JSON, with JSON.parse's result. Throws AppError `invalid_request` with the position (in UTF-16 code units)
 * for bytes that are not UTF-8, a byte order mark, bad syntax, a duplicate or refused key, nesting beyond `maxDepth`,
 * lone surrogates and numbers beyond a double. The caller bounds the size.
 */
export function parseStrictJson(bytes: Uint8Array, { maxDepth = 32 }: StrictJsonOptions = {}): unknown {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new AppError('invalid_request', 'the JSON is not UTF-8', { cause });
  }
  const scanner = new Scanner(text);
  scanner.value(maxDepth);
  scanner.end();
  return JSON.parse(text);
}

/** Recursive descent over RFC 8259's grammar; the depth bound keeps the recursion small. */
class Scanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#take(SPACE);
  }

  value(depthLeft: number): void {
    const char = this.#text[this.#at];
    if (char === '{' || char === '[') {
      if (depthLeft === 0) this.#fail('nested too deeply');
      if (char === '{') this.#object(depthLeft - 1);
      else this.#array(depthLeft - 1);
    } else if (char === '"') {
      this.#string();
    } else {
      this.#scalar();
    }
    this.#take(SPACE);
  }

  end(): void {
    if (this.#at !== this.#text.length) this.#fail('unexpected text');
  }

  #object(depthLeft: number): void {
    const keys = new Set<string>();
    this.#list('}', () => {
      const start = this.#at;
      if (this.#text[start] !== '"') this.#fail('expected a key');
      const key = this.#string();
      if (keys.has(key)) this.#fail('duplicate key', start);
      if (REFUSED_KEYS.has(key)) this.#fail('refused key', start);
      keys.add(key);
      this.#take(SPACE);
      if (!this.#skip(':')) this.#fail('expected a colon');
      this.value(depthLeft);
    });
  }

  #array(depthLeft: number): void {
    this.#list(']', () => this.value(depthLeft));
  }

  #list(close: string, member: () => void): void {
    this.#at++;
    this.#take(SPACE);
    if (this.#skip(close)) return;
    do member();
    while (this.#skip(','));
    if (this.#text[this.#at] !== close) this.#fail(`expected a comma or ${close}`);
    this.#at++;
  }

  /** Returns the decoded text. A loop and not one expression: expressions run out of stack on strings of megabytes. */
  #string(): string {
    const start = this.#at++;
    let escaped = false;
    for (;;) {
      const code = this.#text.charCodeAt(this.#at);
      if (code === 0x22) break;
      if (code === 0x5c) {
        if (!this.#take(ESCAPE)) this.#fail('bad escape');
        escaped = true;
      } else if (code >= 0x20) {
        this.#at++;
      } else {
        this.#fail('unfinished string');
      }
    }
    this.#at++;
    if (!escaped) return this.#text.slice(start + 1, this.#at - 1);
    const decoded: string = JSON.parse(this.#text.slice(start, this.#at));
    return decoded.isWellFormed() ? decoded : this.#fail('lone surrogate', start);
  }

  #scalar(): void {
    const start = this.#at;
    if (this.#take(NUMBER)) {
      if (!Number.isFinite(Number(this.#text.slice(start, this.#at)))) this.#fail('number too large', start);
    } else if (!this.#take(LITERAL)) {
      this.#fail('expected a value');
    }
  }

  #skip(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    this.#take(SPACE);
    return true;
  }

  #take(expression: RegExp): boolean {
    expression.lastIndex = this.#at;
    if (!expression.test(this.#text)) return false;
    this.#at = expression.lastIndex;
    return true;
  }

  #fail(what: string, at = this.#at): never {
    throw new AppError('invalid_request', `malformed JSON at position ${at}: ${what}`);
  }
}
