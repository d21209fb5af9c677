import type { Node } from 'yaml';
import { nearest } from './nearest.ts';
import { type Names, type Placed, quote, type Reader } from './read.ts';

/** What the mapping at the top is called. */
export const WHOLE = 'the catalogue';

/** A mapping with exactly these keys at most; undefined after a finding if `node` is not a mapping. */
export function readFields(
  reader: Reader,
  node: Node,
  path: string,
  known: readonly string[],
): Fields | undefined {
  const entries = reader.entries(node, path);
  if (entries === undefined) return undefined;
  const fields = new Map<string, Placed<Node>>();
  for (const { key, value } of entries) {
    if (known.includes(key.value)) {
      fields.set(key.value, { value, node: key.node });
      reader.mark(path === WHOLE ? key.value : `${path}.${key.value}`, key.node);
      continue;
    }
    if (reader.isFull) continue;
    const guess = nearest(key.value, known);
    const hint = guess === undefined ? `known here: ${known.join(', ')}` : `did you mean ${guess}?`;
    reader.error(key.node, `unknown key ${quote(key.value)} in ${path}`, hint);
  }
  return new Fields(reader, node, path, fields);
}

/** The `type` of one of several kinds of thing. It decides which keys are known, so it is read before them. */
export function readType<T extends string>(
  reader: Reader,
  node: Node,
  path: string,
  what: string,
  types: readonly T[],
): T | undefined {
  const entries = reader.entries(node, path);
  if (entries === undefined) return undefined;
  const type = entries.find(({ key }) => key.value === 'type');
  if (type === undefined) return reader.error(node, `${path} has no type`, `add type: ${types.join(' or ')}`);
  const text = reader.text(type.value, `${path}.type`);
  if (text === undefined) return undefined;
  const chosen = types.find((known) => known === text);
  if (chosen === undefined) reader.existing({ value: text, node: type.value }, what, new Set<string>(types));
  return chosen;
}

/** The members of one mapping. A reader that returns undefined has left a finding, unless the key may be absent. */
export class Fields {
  readonly reader: Reader;
  readonly node: Node;
  readonly path: string;
  readonly #fields: ReadonlyMap<string, Placed<Node>>;

  constructor(reader: Reader, node: Node, path: string, fields: ReadonlyMap<string, Placed<Node>>) {
    this.reader = reader;
    this.node = node;
    this.path = path;
    this.#fields = fields;
  }

  has(key: string): boolean {
    return this.#fields.has(key);
  }

  optional<T>(key: string, read: (node: Node, path: string) => T | undefined): Placed<T> | undefined {
    const field = this.#fields.get(key);
    if (field === undefined) return undefined;
    const value = read(field.value, `${this.path}.${key}`);
    return value === undefined ? undefined : { value, node: field.value };
  }

  required<T>(key: string, read: (node: Node, path: string) => T | undefined): Placed<T> | undefined {
    if (!this.#fields.has(key))
      return this.reader.error(this.node, `${this.path} has no ${key}`, `add ${key}: …`);
    return this.optional(key, read);
  }

  text(key: string): Placed<string> | undefined {
    return this.optional(key, (node, path) => this.reader.text(node, path));
  }

  requiredText(key: string): Placed<string> | undefined {
    return this.required(key, (node, path) => this.reader.text(node, path));
  }

  /** The name of a thing that exists. */
  reference(key: string, what: string, known: Names): Placed<string> | undefined {
    const place = this.text(key);
    return place && this.reader.existing(place, what, known) ? place : undefined;
  }

  requiredReference(key: string, what: string, known: Names): Placed<string> | undefined {
    const place = this.requiredText(key);
    return place && this.reader.existing(place, what, known) ? place : undefined;
  }

  /** Text of one form. */
  matching(key: string, isRight: (text: string) => boolean, form: string): Placed<string> | undefined {
    return this.#checked(this.text(key), key, isRight, form);
  }

  requiredMatching(
    key: string,
    isRight: (text: string) => boolean,
    form: string,
  ): Placed<string> | undefined {
    return this.#checked(this.requiredText(key), key, isRight, form);
  }

  choice<T extends string>(key: string, options: readonly T[]): Placed<T> | undefined {
    return this.optional(key, (node, path) => {
      const text = this.reader.text(node, path);
      if (text === undefined) return undefined;
      const chosen = options.find((option) => option === text);
      return (
        chosen ?? this.reader.error(node, `${path} is ${quote(text)}`, `write one of ${options.join(', ')}`)
      );
    });
  }

  duration(key: string): Placed<number> | undefined {
    return this.optional(key, (node, path) => this.reader.duration(node, path));
  }

  integer(key: string, min: number, max: number): Placed<number> | undefined {
    return this.optional(key, (node, path) => this.reader.integer(node, path, min, max));
  }

  /** The members of a list; none where the key is absent. */
  items(key: string): Node[] {
    return this.optional(key, (node, path) => this.reader.list(node, path))?.value ?? [];
  }

  texts(key: string): Placed<string>[] {
    return this.items(key).flatMap((node) => {
      const value = this.reader.text(node, `${this.path}.${key}`);
      return value === undefined ? [] : [{ value, node }];
    });
  }

  #checked(
    place: Placed<string> | undefined,
    key: string,
    isRight: (text: string) => boolean,
    form: string,
  ): Placed<string> | undefined {
    if (place === undefined || isRight(place.value)) return place;
    return this.reader.error(place.node, `${this.path}.${key} is not ${form}`);
  }
}
