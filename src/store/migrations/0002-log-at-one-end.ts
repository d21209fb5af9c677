import { sql } from 'kysely';
import type { Migration } from './migration.ts';

/** A subtree of 2^53 leaves is one that no log has. */
const LEVELS = 53;

/**
 * A node of the audit log's tree is kept under the entry that completed its subtree, and no longer under its number in its
 * level: so all nodes are appended at one end of the table, and one entry touches few pages.
 */
export const logAtOneEnd: Migration = {
  name: '0002-log-at-one-end',
  async apply(db, { integer, bytes, endOfKeyed }) {
    const create = `create table audit_nodes_by_entry (
      entry ${integer} not null,
      level ${integer} not null,
      hash ${bytes} not null,
      primary key (entry, level)
    )${endOfKeyed}`;
    await sql.raw(create).execute(db);
    // Level by level: raising to a power is written differently in each database.
    for (let level = 0; level < LEVELS; level++) {
      await sql`
        insert into audit_nodes_by_entry (entry, level, hash)
        select (number + 1) * ${sql.lit(2 ** level)} - 1, level, hash
          from audit_nodes where level = ${sql.lit(level)}`.execute(db);
    }
    const statements = [
      'drop table audit_nodes',
      'alter table audit_nodes_by_entry rename to audit_nodes',
      'drop index credentials_by_grant',
      'create index credentials_by_grant on credentials (grant_id, device_id, state)',
      'drop index credentials_by_kind',
      'drop index credentials_by_handle',
    ];
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};
