import { sql } from 'kysely';
import type { Migration } from './migration.ts';

/**
 * What a durable commit costs is the pages that it writes, and each index of a table is a page at least. A job is found by its
 * subject and kind, and no longer by its id as well: the subject comes first, so that looking for the next job of some kinds
 * reads jobs in the order of their time, not all jobs of these kinds.
 */
export const fewerPages: Migration = {
  name: '0004-fewer-pages',
  async apply(db, { integer, endOfKeyed }) {
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
    ];
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};
