/**
 * Queries are written with Kysely, once for both databases, and compiled once for each shape of their arguments: building and
 * compiling one costs more than running it.
 */
import type { CompiledQuery, Kysely, QueryResult } from 'kysely';
import { AppError } from '../protocol/errors.ts';
import type { Dialect } from './dialect.ts';
import type { Schema } from './schema.ts';
import type { Session } from './sql-store.ts';

export interface BuildContext {
  readonly db: Kysely<Schema>;
  readonly dialect: Dialect;
}

/**
 * Makes a query for arguments of one shape: which members there are, and how long lists are. Their values come later: what is
 * handed in here stands in for them, and can only be put where a query takes a value. Kept by identity: a constant of its module.
 */
export type Query<Args extends object, Row> = (
  context: BuildContext,
  args: Args,
) => { compile(): CompiledQuery<Row> };

/** More shapes than a query has; only inserts of many rows differ from call to call. */
const MAX_SHAPES = 256;

/** What has been compiled, for one database. */
export class CompiledQueries {
  readonly #queries = new Map<unknown, Map<string, CompiledQuery>>();

  /** The query with its values in place, ready to run. */
  bind<Args extends object, Row>(
    context: BuildContext,
    query: Query<Args, Row>,
    args: Args,
  ): CompiledQuery<Row> {
    const values: unknown[] = [];
    const shape = collect(args, values);
    const shapes = this.#queries.get(query) ?? new Map<string, CompiledQuery>();
    let compiled = shapes.get(shape);
    if (compiled === undefined) {
      compiled = query(context, standIns(args)).compile();
      if (shapes.size >= MAX_SHAPES) shapes.clear();
      this.#queries.set(query, shapes.set(shape, compiled));
    }
    const parameters = compiled.parameters.map((value) =>
      value instanceof StandIn ? values[value.position] : value,
    );
    return { ...compiled, parameters } as CompiledQuery<Row>;
  }
}

/** What the store's calls are made of: queries within one transaction. */
export class QueryContext implements BuildContext {
  readonly db: Kysely<Schema>;
  readonly dialect: Dialect;
  readonly #compiled: CompiledQueries;
  readonly #execute: Session['run'];

  constructor(db: Kysely<Schema>, dialect: Dialect, compiled: CompiledQueries, execute: Session['run']) {
    this.db = db;
    this.dialect = dialect;
    this.#compiled = compiled;
    this.#execute = execute;
  }

  async rows<Args extends object, Row>(query: Query<Args, Row>, args: Args): Promise<Row[]> {
    return (await this.#run(query, args, 'all')).rows;
  }

  async first<Args extends object, Row>(query: Query<Args, Row>, args: Args): Promise<Row | undefined> {
    return (await this.#run(query, args, 'first')).rows[0];
  }

  /** For a query that always has a row. */
  async one<Args extends object, Row>(query: Query<Args, Row>, args: Args): Promise<Row> {
    const [row] = (await this.#run(query, args, 'all')).rows;
    if (row === undefined) throw new AppError('internal', 'the store lacks a row that is always there');
    return row;
  }

  /** Runs a change; answers how many rows it met. */
  async change<Args extends object>(query: Query<Args, unknown>, args: Args): Promise<bigint> {
    return (await this.#run(query, args, 'all')).numAffectedRows ?? 0n;
  }

  #run<Args extends object, Row>(query: Query<Args, Row>, args: Args, wanted: 'first' | 'all') {
    return this.#execute(this.#compiled.bind(this, query, args), wanted) as Promise<QueryResult<Row>>;
  }
}

class StandIn {
  readonly position: number;

  constructor(position: number) {
    this.position = position;
  }

  [Symbol.toPrimitive](): never {
    throw new AppError('internal', 'a query computes with a value that it does not have yet');
  }
}

/** Appends the values in the order in which they stand, and returns the shape around them. */
function collect(value: unknown, values: unknown[]): string {
  if (value === undefined) return '-';
  if (Array.isArray(value)) {
    let shape = '[';
    for (const item of value) shape += collect(item, values);
    return `${shape}]`;
  }
  if (isMembers(value)) {
    let shape = '{';
    for (const name in value) shape += `${name}${collect(value[name], values)}`;
    return `${shape}}`;
  }
  values.push(value);
  return '?';
}

/** The same arguments with stand-ins for values, numbered in the order of {@link collect}. */
function standIns<Args extends object>(args: Args): Args {
  let position = 0;
  const replace = (value: unknown): unknown => {
    if (value === undefined) return undefined;
    if (Array.isArray(value)) return value.map(replace);
    if (!isMembers(value)) return new StandIn(position++);
    const members: Record<string, unknown> = {};
    for (const name in value) members[name] = replace(value[name]);
    return members;
  };
  return replace(args) as Args;
}

function isMembers(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
