import { sql } from 'kysely';
import type { Migration } from './migration.ts';

export const breakGlass: Migration = {
  name: '0006-break-glass',
  async apply(db, { integer, endOfTable }) {
    const statements = [
      `create table packs (
        id text primary key,
        user_id text not null,
        device_id text not null,
        resource text not null,
        role text not null,
        kind text not null,
        epoch ${integer} not null,
        slots text not null,
        issued_at ${integer} not null,
        starts_at ${integer} not null,
        ends_at ${integer} not null,
        confirmed_at ${integer},
        state text not null,
        revoked_at ${integer}
      )${endOfTable}`,
      'create index packs_by_device on packs (device_id, state, ends_at)',
      'create index packs_by_resource on packs (resource, state, ends_at)',
      `create table pack_uses (
        pack_id text not null,
        slot ${integer} not null,
        device_id text not null,
        user_id text not null,
        resource text not null,
        role text not null,
        reason text not null,
        incident text,
        drill ${integer} not null,
        seq ${integer} not null,
        opened_at ${integer} not null,
        reconciled_at ${integer} not null,
        review_id text,
        primary key (pack_id, slot)
      )${endOfTable}`,
      'create index pack_uses_by_resource on pack_uses (resource, opened_at)',
      `create table journals (
        device_id text primary key,
        seq ${integer} not null,
        hash text not null,
        highest ${integer} not null,
        reconciled_at ${integer} not null,
        broken_at ${integer},
        why text,
        review_id text
      )${endOfTable}`,
      `create table break_glass_epochs (
        resource text primary key,
        epoch ${integer} not null,
        rotated_at ${integer},
        tainted_at ${integer}
      )${endOfTable}`,
      `create table drills (
        id text primary key,
        resource text not null,
        role text not null,
        user_id text not null,
        device_id text not null,
        path text not null,
        passed ${integer} not null,
        took_ms ${integer} not null,
        note text not null,
        at ${integer} not null
      )${endOfTable}`,
      'create index drills_by_resource on drills (resource, at)',
      `create table hosts (
        id text primary key,
        resource text not null,
        public_key text not null,
        state text not null,
        added_by text not null,
        added_at ${integer} not null,
        last_seen_at ${integer}
      )${endOfTable}`,
      `create table logins (
        id text primary key,
        host text not null,
        resource text not null,
        kind text not null,
        account text not null,
        identity text not null,
        serial text not null,
        address text not null,
        at ${integer} not null,
        received_at ${integer} not null,
        matched text
      )${endOfTable}`,
      'create index logins_by_resource on logins (resource, at)',
      'alter table reviews add column resource text',
      "alter table reviews add column about text not null default 'null'",
      'create index reviews_by_resource on reviews (resource, state)',
      'create index logins_by_match on logins (matched)',
    ];
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};
