import { sql } from 'kysely';
import type { Migration } from './migration.ts';

export const alarms: Migration = {
  name: '0005-alarms',
  async apply(db, { integer, endOfTable }) {
    const statements = [
      `create table alarms (
        id text primary key,
        kind text not null,
        resource text not null,
        user_id text not null,
        handles text not null,
        count ${integer} not null,
        raised_at ${integer} not null
      )${endOfTable}`,
      // Of no concern to the commits of a request: only what has begun to end is in it.
      'create index credentials_by_end on credentials (state, ending_at) where ending_at is not null',
    ];
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};
