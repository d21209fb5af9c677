/** What the schemas of messages are made of. Never loaded on the client: it takes types alone. */
import { type TSchema, Type } from '@sinclair/typebox';

/** Unknown members are refused. */
export const strict = <T extends Parameters<typeof Type.Object>[0]>(properties: T) =>
  Type.Object(properties, { additionalProperties: false });
export const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()]);
export const oneOf = <const T extends readonly string[]>(...values: T) =>
  Type.Unsafe<T[number]>({ type: 'string', enum: [...values] });

export const Name = Type.String({ pattern: '^[A-Za-z0-9][A-Za-z0-9._@/+-]{0,127}$' });
export const PartName = Type.String({ pattern: '^[a-z0-9][a-z0-9-]{0,39}$' });
export const Instant = Type.String({ pattern: '^\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d\\.\\d{3}Z$' });
/** No control characters: they have no business in words, and PostgreSQL cannot store NUL. */
export const Text = (maxLength: number) =>
  Type.String({ minLength: 1, maxLength, pattern: '^[^\\u0000-\\u001f\\u007f]+$' });
export const Seconds = Type.Integer({ minimum: 1, maximum: 366 * 86_400 });
