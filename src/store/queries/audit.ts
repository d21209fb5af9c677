import { appendLeaf, leafHash, type NodeRef } from '../../audit/merkle.ts';
import type { Json } from '../../protocol/canonical-json.ts';
import { AppError } from '../../protocol/errors.ts';
import type { QueryContext } from '../dialect.ts';
import type { AuditRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

/** SQLite bounds the depth of an expression (1000), and each pair of (level, number) is one level of it. */
const READ_BATCH = 200;
/** Longer values are in the entry but cannot be searched: PostgreSQL bounds what an index holds (2.7 kB). */
const MAX_SUBJECT_LENGTH = 256;

export function readAudit(context: QueryContext) {
  const { db } = context;
  const entries = db
    .selectFrom('audit_entries as e')
    .innerJoin('audit_nodes as n', (join) => join.onRef('n.number', '=', 'e.number').on('n.level', '=', 0))
    .select(['e.number', 'e.at', 'e.event', 'e.entry', 'n.hash']);
  return {
    async auditSize() {
      const { size } = await db.selectFrom('audit_head').select('size').executeTakeFirstOrThrow();
      return size;
    },
    auditNodes: (refs) => readNodes(context, refs),
    async auditEntries(from, limit) {
      const found = await entries.where('e.number', '>=', from).orderBy('e.number').limit(limit).execute();
      return found.map(toAuditRow);
    },
    async auditSearch({ event, subject, fromMs, toMs, limit }) {
      let query = entries;
      if (event !== undefined) query = query.where('e.event', '=', event);
      if (fromMs !== undefined) query = query.where('e.at', '>=', fromMs);
      if (toMs !== undefined) query = query.where('e.at', '<', toMs);
      if (subject !== undefined) {
        query = query.where('e.number', 'in', (nested) =>
          nested.selectFrom('audit_subjects').select('number').where('value', '=', subject),
        );
      }
      const found = await query.orderBy('e.number', 'desc').limit(limit).execute();
      return found.map(toAuditRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeAudit(context: QueryContext) {
  const { db, dialect } = context;
  return {
    async appendAudit(build) {
      // Raising the size first takes the log's lock (on PostgreSQL until the transaction ends): no gaps, no forks.
      const head = await db
        .updateTable('audit_head')
        .set((to) => ({ size: to('size', '+', 1) }))
        .returning(['size', dialect.nowExpression().as('now')])
        .executeTakeFirstOrThrow();
      const index = head.size - 1;
      const { event, subject, bytes } = build(index, head.now);
      const entry = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
      const leaf = leafHash(bytes);
      const { nodes } = await appendLeaf((refs) => readNodes(context, refs), index, leaf);
      await db.insertInto('audit_entries').values({ number: index, at: head.now, event, entry }).execute();
      await db
        .insertInto('audit_nodes')
        .values(nodes.map(({ level, index: number, hash }) => ({ level, number, hash })))
        .execute();
      const values = subjectValues(subject);
      if (values.length > 0) {
        await db
          .insertInto('audit_subjects')
          .values(values.map((value) => ({ value, number: index })))
          .execute();
      }
      return toAuditRow({ number: index, at: head.now, event, entry, hash: leaf });
    },
  } satisfies Partial<Tx>;
}

async function readNodes({ db }: QueryContext, refs: readonly NodeRef[]): Promise<readonly Uint8Array[]> {
  const hashes = new Map<string, Uint8Array>();
  for (let from = 0; from < refs.length; from += READ_BATCH) {
    const batch = refs.slice(from, from + READ_BATCH);
    const found = await db
      .selectFrom('audit_nodes')
      .selectAll()
      .where(({ or, and }) => or(batch.map(({ level, index }) => and({ level, number: index }))))
      .execute();
    for (const { level, number, hash } of found) hashes.set(`${level}/${number}`, hash);
  }
  return refs.map(({ level, index }) => {
    const hash = hashes.get(`${level}/${index}`);
    if (hash === undefined) throw new AppError('log_inconsistent', 'the audit log lacks a stored tree node');
    return hash;
  });
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
