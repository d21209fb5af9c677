import { type Kysely, sql } from 'kysely';
import { peaksOf } from '../../audit/merkle.ts';
import type { Schema } from '../schema.ts';
import type { Migration } from './migration.ts';

/**
 * What a durable commit costs is the pages that it writes, and each index of a table is a page at least. A job is found by its
 * subject and kind, and no longer by its id as well: the subject comes first, so that looking for the next job of some kinds
 * reads jobs in the order of their time, not all jobs of these kinds. The peaks of the audit log's tree stand beside its size,
 * where each entry is appended to them and each checkpoint follows from them. What entries are found by is sorted in for many
 * of them at once, since each term of an entry is on a page of its own.
 */
export const fewerPages: Migration = {
  name: '0004-fewer-pages',
  async apply(db, { integer, bytes, endOfKeyed }) {
    const statements = [
      `create table jobs_by_subject (
        subject text not null,
        kind text not null,
        id text not null,
        due_at ${integer} not null,
        lease_until ${integer} not null,
        attempts ${integer} not null,
        last_error text,
        next_id text,
        next_due_at ${integer},
        primary key (subject, kind)
      )${endOfKeyed}`,
      `insert into jobs_by_subject
        select subject, kind, id, due_at, lease_until, attempts, last_error, next_id, next_due_at from jobs`,
      'drop table jobs',
      'alter table jobs_by_subject rename to jobs',
      'create index jobs_by_time on jobs (due_at)',
      `create table audit_terms (
        kind text not null,
        value text not null,
        number ${integer} not null,
        primary key (kind, value, number)
      )${endOfKeyed}`,
      `create table audit_fresh_terms (
        number ${integer} not null,
        kind text not null,
        value text not null,
        primary key (number, kind, value)
      )${endOfKeyed}`,
      "insert into audit_terms select 'subject', value, number from audit_subjects",
      "insert into audit_terms select 'event', event, number from audit_entries",
      'drop table audit_subjects',
      'drop index audit_entries_by_event',
      'drop index requests_by_time',
      'drop index requests_by_state',
      "create index requests_pending on requests (created_at) where state = 'pending'",
      'drop index requests_by_origin',
      'create unique index requests_by_origin on requests (origin) where origin is not null',
      'drop index grants_by_rule',
      'create index grants_by_rule on grants (rule, state, starts_at) where rule is not null',
      // In the order that is asked for, which spares sorting.
      'drop index grants_by_request',
      'create index grants_by_request on grants (request_id, starts_at, id)',
      // Without the state, which changes while all else stays.
      'drop index credentials_by_state',
      'drop index credentials_by_grant',
      'create index credentials_by_grant on credentials (grant_id, created_at, id)',
      'drop index credentials_by_device',
      "create index credentials_by_device on credentials (device_id, created_at) where state <> 'ended'",
      `alter table audit_head add column peaks ${bytes}`,
    ];
    for (const statement of statements) await sql.raw(statement).execute(db);
    await db
      .updateTable('audit_head')
      .set({ peaks: await readPeaks(db) })
      .execute();
  },
};

async function readPeaks(db: Kysely<Schema>): Promise<Uint8Array> {
  const { size } = await db.selectFrom('audit_head').select('size').executeTakeFirstOrThrow();
  const hashes: Uint8Array[] = [];
  for (const { level, index } of peaksOf(size)) {
    const node = db.selectFrom('audit_nodes').select('hash').where('level', '=', level);
    const { hash } = await node.where('entry', '=', (index + 1) * 2 ** level - 1).executeTakeFirstOrThrow();
    hashes.push(hash);
  }
  return Buffer.concat(hashes);
}
