import {
  appendLeaf,
  HASH_BYTES,
  leafHash,
  type NodeReader,
  type NodeRef,
  peaksOf,
  peaksWith,
} from '../../audit/merkle.ts';
import type { Json } from '../../protocol/canonical-json.ts';
import { AppError } from '../../protocol/errors.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { AuditRow } from '../rows.ts';
import type { Schema } from '../schema.ts';
import type { ReadTx, Tx } from '../store.ts';

/** SQLite bounds the depth of an expression (1000), and each pair of (entry, level) is one level of it. */
const READ_BATCH = 200;
/**
 * Terms are kept in the order of entries until there are those of so many, and then sorted in: the terms of one entry lie on as
 * many pages, those of many entries share them.
 */
const FRESH_ENTRIES = 64;
/** Longer values are in the entry but cannot be searched: PostgreSQL bounds what an index holds (2.7 kB). */
const MAX_SUBJECT_LENGTH = 256;

const entries = ({ db }: BuildContext) =>
  db
    .selectFrom('audit_entries as e')
    .innerJoin('audit_nodes as n', (join) => join.onRef('n.entry', '=', 'e.number').on('n.level', '=', 0))
    .select(['e.number', 'e.at', 'e.event', 'e.entry', 'n.hash']);

const size = ({ db }: BuildContext) => db.selectFrom('audit_head').select('size');

const head = ({ db }: BuildContext) => db.selectFrom('audit_head').select(['size', 'peaks']);

const entriesFrom = (context: BuildContext, { from, limit }: { from: number; limit: number }) =>
  entries(context).where('e.number', '>=', from).orderBy('e.number').limit(limit);

type Search = Parameters<ReadTx['auditSearch']>[0];

const entriesBetween = (context: BuildContext, { fromMs, toMs }: Pick<Search, 'fromMs' | 'toMs'>) => {
  let query = entries(context);
  if (fromMs !== undefined) query = query.where('e.at', '>=', fromMs);
  if (toMs !== undefined) query = query.where('e.at', '<', toMs);
  return query;
};

const newest = (context: BuildContext, { limit, ...times }: Omit<Search, 'event' | 'subject'>) =>
  entriesBetween(context, times).orderBy('e.number', 'desc').limit(limit);

interface TermSearch extends Omit<Search, 'event' | 'subject'> {
  kind: Term['kind'];
  value: string;
  /** Narrows down the entries of a subject. */
  event: string | undefined;
  before?: number;
}

/** Entries with this term. In the order of the terms: SQLite sorts them all where it is told the other number, though it is the same. */
const foundIn =
  (table: 'audit_terms' | 'audit_fresh_terms') =>
  (context: BuildContext, { kind, value, event, before, limit, ...times }: TermSearch) => {
    let query = entriesBetween(context, times)
      .innerJoin(`${table} as t`, 't.number', 'e.number')
      .where('t.kind', '=', kind)
      .where('t.value', '=', value);
    if (event !== undefined) query = query.where('e.event', '=', event);
    if (before !== undefined) query = query.where('t.number', '<', before);
    return query.orderBy('t.number', 'desc').limit(limit);
  };

const foundFresh = foundIn('audit_fresh_terms');
const foundSorted = foundIn('audit_terms');

const nodesAt = ({ db }: BuildContext, { keys }: { keys: readonly { entry: number; level: number }[] }) =>
  db
    .selectFrom('audit_nodes')
    .selectAll()
    .where(({ or, and }) => or(keys.map((key) => and({ ...key }))));

/** Takes the log's lock (on PostgreSQL until the transaction ends): no gaps, no forks. The time is read with it. */
const lockedHead = ({ db, dialect }: BuildContext, { ownClock }: { ownClock: number }) =>
  db
    .selectFrom('audit_head')
    .select(['size', 'peaks', dialect.nowExpression(ownClock).as('now')])
    .$if(dialect.rowLocks, (query) => query.forUpdate());

const updateHead = ({ db }: BuildContext, columns: { size: number; peaks: Uint8Array }) =>
  db.updateTable('audit_head').set(columns);

const insertEntry = (
  { db }: BuildContext,
  entry: { number: number; at: number; event: string; entry: string },
) => db.insertInto('audit_entries').values(entry);

const insertNodes = (
  { db }: BuildContext,
  { nodes }: { nodes: readonly { entry: number; level: number; hash: Uint8Array }[] },
) => db.insertInto('audit_nodes').values(nodes);

type Term = Schema['audit_terms'];

const insertTerms = ({ db }: BuildContext, { terms }: { terms: readonly Term[] }) =>
  db.insertInto('audit_fresh_terms').values(terms);

const sortIn = ({ db }: BuildContext) =>
  db
    .insertInto('audit_terms')
    .columns(['kind', 'value', 'number'])
    .expression(
      db
        .selectFrom('audit_fresh_terms')
        .select(['kind', 'value', 'number'])
        .orderBy('kind')
        .orderBy('value')
        .orderBy('number'),
    );

const dropFresh = ({ db }: BuildContext) => db.deleteFrom('audit_fresh_terms');

export function readAudit(context: QueryContext) {
  return {
    async auditSize() {
      return (await context.one(size, {})).size;
    },
    async auditHead() {
      const found = await context.one(head, {});
      return { size: found.size, peaks: hashesIn(found.peaks) };
    },
    auditNodes: (refs) => readNodes(context, refs),
    async auditEntries(from, limit) {
      return (await context.rows(entriesFrom, { from, limit })).map(toAuditRow);
    },
    async auditSearch({ event, subject, ...rest }) {
      if (subject !== undefined)
        return searchTerm(context, { ...rest, kind: 'subject', value: subject, event });
      if (event !== undefined)
        return searchTerm(context, { ...rest, kind: 'event', value: event, event: undefined });
      return (await context.rows(newest, rest)).map(toAuditRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeAudit(context: QueryContext) {
  return {
    async appendAudit(build) {
      const found = await context.one(lockedHead, { ownClock: context.dialect.ownClock() });
      const { size: index, now: at } = found;
      const { event, subject, bytes } = build(index, at);
      const entry = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      const leaf = leafHash(bytes);
      const peaks = hashesIn(found.peaks);
      const { nodes } = await appendLeaf(peakReader(index, peaks), index, leaf);
      await context.change(updateHead, { size: index + 1, peaks: Buffer.concat(peaksWith(peaks, nodes)) });
      await context.change(insertEntry, { number: index, at, event, entry });
      await context.change(insertNodes, {
        nodes: nodes.map(({ level, hash }) => ({ entry: index, level, hash })),
      });
      const subjects = subjectValues(subject).map((value) => ({
        number: index,
        kind: 'subject' as const,
        value,
      }));
      await context.change(insertTerms, {
        terms: [{ number: index, kind: 'event', value: event }, ...subjects],
      });
      if ((index + 1) % FRESH_ENTRIES === 0) {
        await context.change(sortIn, {});
        await context.change(dropFresh, {});
      }
      return toAuditRow({ number: index, at, event, entry, hash: leaf });
    },
  } satisfies Partial<Tx>;
}

/** Fresh entries are the newest; others may be sorted in between the two looks, and are found by the first then. */
async function searchTerm(context: QueryContext, search: TermSearch): Promise<AuditRow[]> {
  const fresh = await context.rows(foundFresh, search);
  const before = fresh.at(-1)?.number;
  const limit = search.limit - fresh.length;
  const rest = { ...search, limit, ...(before !== undefined && { before }) };
  const sorted = limit > 0 ? await context.rows(foundSorted, rest) : [];
  return [...fresh, ...sorted].map(toAuditRow);
}

async function readNodes(context: QueryContext, refs: readonly NodeRef[]): Promise<readonly Uint8Array[]> {
  const keys = refs.map(keyOf);
  const hashes = new Map<string, Uint8Array>();
  for (let from = 0; from < keys.length; from += READ_BATCH) {
    const found = await context.rows(nodesAt, { keys: keys.slice(from, from + READ_BATCH) });
    for (const { entry, level, hash } of found) hashes.set(`${entry}/${level}`, hash);
  }
  return keys.map(({ entry, level }) => {
    const hash = hashes.get(`${entry}/${level}`);
    if (hash === undefined) throw new AppError('log_inconsistent', 'the audit log lacks a stored tree node');
    return hash;
  });
}

/** What a leaf that is appended reads stands in the head. */
function peakReader(size: number, peaks: readonly Uint8Array[]): NodeReader {
  const refs = peaksOf(size);
  return async (wanted) =>
    wanted.map(({ level }) => {
      const hash = peaks[refs.findIndex((ref) => ref.level === level)];
      if (hash === undefined)
        throw new AppError('log_inconsistent', 'the audit log lacks a peak of its tree');
      return hash;
    });
}

function hashesIn(peaks: Uint8Array): Uint8Array[] {
  const count = peaks.length / HASH_BYTES;
  return Array.from({ length: count }, (_, i) => peaks.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES));
}

/** Node (level, index) covers 2^level leaves, and is there once the last of them is. */
function keyOf({ level, index }: NodeRef): { entry: number; level: number } {
  return { entry: (index + 1) * 2 ** level - 1, level };
}

function toAuditRow(found: {
  number: number;
  at: number;
  event: string;
  entry: string;
  hash: Uint8Array;
}): AuditRow {
  const { number: index, at, event, entry, hash } = found;
  return { index, at, event, entry, leafHash: Buffer.from(hash).toString('base64url') };
}

/** The distinct strings in a subject, wherever they stand. */
function subjectValues(subject: Json): string[] {
  const values = new Set<string>();
  const rest: (Json | undefined)[] = [subject];
  while (rest.length > 0) {
    const value = rest.pop();
    if (typeof value === 'string' && value.length <= MAX_SUBJECT_LENGTH) values.add(value);
    else if (typeof value === 'object' && value !== null) rest.push(...Object.values(value));
  }
  return [...values];
}
