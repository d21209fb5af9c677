/** `oncall help json <command>`: what a command writes for programs, as members or as JSON Schema. */
import type { TSchema } from '@sinclair/typebox';
import { AppError } from '../protocol/errors.ts';
import { type OutputName, outputSchema } from './outputs.ts';

/** Nested further, members are read in the schema. */
const DEEPEST = 3;

export interface JsonPage {
  readonly names: readonly OutputName[];
  /** The whole JSON Schema instead of a list. */
  readonly asSchema: boolean;
}

/** Throws AppError `usage` where there is nothing to describe. */
export function jsonHelp({ names, asSchema }: JsonPage, title: string): string {
  const [first] = names;
  if (first === undefined) {
    throw new AppError('usage', `${title} writes no JSON of its own`, {
      hint: 'its errors are described by: oncall help json error',
    });
  }
  if (!asSchema) return names.map(memberList).join('\n');
  const schemas = names.map(publishedSchema);
  const schema = schemas.length === 1 ? schemas[0] : { ...HEAD, oneOf: schemas };
  return `${JSON.stringify(schema, null, 2)}\n`;
}

const HEAD = { $schema: 'https://json-schema.org/draft/2020-12/schema' };

/** As it is published: what we don't know of yet may come under the same version, so a reader must take it. */
export function publishedSchema(name: OutputName): Record<string, unknown> {
  const id = `oncall.${name}/v1`;
  return { ...HEAD, $id: id, title: id, ...open(outputSchema(name)) };
}

function open(value: object): object {
  const entries = Object.entries(value)
    .filter(([key, inner]) => key !== 'additionalProperties' || inner !== false)
    .map(([key, inner]) => [key, inner !== null && typeof inner === 'object' ? opened(inner) : inner]);
  return Object.fromEntries(entries);
}

function opened(value: object): unknown {
  if (!Array.isArray(value)) return open(value);
  return value.map((one: unknown) => (one !== null && typeof one === 'object' ? opened(one) : one));
}

function memberList(name: OutputName): string {
  const full = outputSchema(name);
  const variants: TSchema[] = full.anyOf ?? [full];
  return variants
    .map((variant) => {
      const members = memberLines(variant, '', 1);
      const widest = Math.max(...members.map(([path]) => path.length));
      return members.map(([path, type]) => `${path.padEnd(widest)}  ${type}\n`).join('');
    })
    .join('\nor\n\n');
}

function memberLines(schema: TSchema, prefix: string, depth: number): [path: string, type: string][] {
  const required: readonly string[] = schema.required ?? [];
  return Object.entries((schema.properties ?? {}) as Record<string, TSchema>).flatMap(([name, member]) => {
    const path = `${prefix}${name}${required.includes(name) ? '' : '?'}`;
    const { inner, type } = described(member);
    const more =
      inner !== undefined && depth < DEEPEST
        ? memberLines(inner.schema, `${path}${inner.mark}.`, depth + 1)
        : [];
    return [[path, type] satisfies [string, string], ...more];
  });
}

interface Described {
  readonly type: string;
  /** What has members of its own, and how a path goes there. */
  readonly inner?: { readonly schema: TSchema; readonly mark: '' | '[]' };
}

function described(schema: TSchema): Described {
  if (schema.const !== undefined) return { type: JSON.stringify(schema.const) };
  if (Array.isArray(schema.enum)) return { type: schema.enum.join(' | ') };
  if (Array.isArray(schema.anyOf)) {
    const parts = (schema.anyOf as TSchema[]).map(described);
    const inner = parts.find((part) => part.inner !== undefined)?.inner;
    return { type: parts.map(({ type }) => type).join(' | '), ...(inner && { inner }) };
  }
  if (schema.type === 'array') {
    const { type, inner } = described(schema.items);
    return { type: `list of ${type}`, ...(inner && { inner: { schema: inner.schema, mark: '[]' } }) };
  }
  if (schema.type === 'object')
    return schema.properties === undefined
      ? { type: 'object' }
      : { type: 'object', inner: { schema, mark: '' } };
  if (typeof schema.pattern === 'string' && schema.pattern.includes('T\\d\\d:')) return { type: 'time' };
  return { type: typeof schema.type === 'string' ? schema.type : 'anything' };
}
