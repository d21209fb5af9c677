/**
 * Between rows (camelCase, JSON as values) and columns (snake_case, JSON as text). The mapping is mechanical, types included,
 * with one exception: `user` is stored as `user_id`, because in PostgreSQL an unquoted `user` silently means the session's role,
 * which would mislead whoever looks into the database by hand.
 */
export type Columns<Row> = { [K in keyof Row & string as ColumnName<K>]: Stored<Row[K]> };

type ColumnName<K extends string> = K extends 'user' ? 'user_id' : Snake<K>;
type Snake<S extends string> = S extends `${infer Head}${infer Tail}`
  ? `${Head extends Lowercase<Head> ? Head : `_${Lowercase<Head>}`}${Snake<Tail>}`
  : '';
type Stored<V> = [V] extends [string | number | null] ? V : string;

export interface RowCodec<Row> {
  toColumns(row: Row): Columns<Row>;
  /** Members that are undefined are left out. */
  toChange(change: { [K in keyof Row]?: Row[K] | undefined }): Partial<Columns<Row>>;
  toRow(columns: Columns<Row>): Row;
}

/** The members that hold something else than what a column holds. */
type JsonMember<Row> = {
  [K in keyof Row & string]: [Row[K]] extends [string | number | null] ? never : K;
}[keyof Row & string];

/** Names the members that are stored as JSON text: all of them, or it does not compile. A JSON null is the text `null`. */
export function createRowCodec<Row extends object>(json: Record<JsonMember<Row>, 'json'>): RowCodec<Row> {
  const isJson = new Set(Object.keys(json));
  function encode(change: { [K in keyof Row]?: Row[K] | undefined }): Record<string, unknown> {
    const columns: Record<string, unknown> = {};
    for (const name in change) {
      const value = change[name];
      if (value !== undefined) columns[columnName(name)] = isJson.has(name) ? JSON.stringify(value) : value;
    }
    return columns;
  }
  return {
    toColumns: (row) => encode(row) as Columns<Row>,
    toChange: (change) => encode(change) as Partial<Columns<Row>>,
    toRow(columns) {
      const row: Record<string, unknown> = {};
      for (const column in columns) {
        const value: unknown = columns[column];
        const name = memberName(column);
        row[name] = isJson.has(name) ? JSON.parse(String(value)) : value;
      }
      return row as Row;
    },
  };
}

const columnNames = new Map([['user', 'user_id']]);
const memberNames = new Map([['user_id', 'user']]);

function columnName(member: string): string {
  let name = columnNames.get(member);
  if (name === undefined) {
    name = member.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    columnNames.set(member, name);
  }
  return name;
}

function memberName(column: string): string {
  let name = memberNames.get(column);
  if (name === undefined) {
    name = column.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
    memberNames.set(column, name);
  }
  return name;
}
