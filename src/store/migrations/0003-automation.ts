import { sql } from 'kysely';
import type { Migration } from './migration.ts';

/**
 * Incidents of outside systems, grants that open by themselves, shifts, deliveries, stages, notices and reviews. What was
 * there before was manual: an incident's own id is its source's, and the newest word about it is its last change. Where most
 * rows are history, an index holds those that are not.
 */
export const automation: Migration = {
  name: '0003-automation',
  async apply(db, { integer, endOfTable, endOfKeyed }) {
    const statements = [
      "alter table incidents add column external_id text not null default ''",
      "alter table incidents add column assignees text not null default '[]'",
      "alter table incidents add column url text not null default ''",
      "alter table incidents add column labels text not null default '{}'",
      `alter table incidents add column changed_at ${integer} not null default 0`,
      `alter table incidents add column opened_at ${integer} not null default 0`,
      `alter table incidents add column confirmed_at ${integer}`,
      'alter table incidents add column reopened_by text',
      `update incidents set external_id = id, opened_at = started_at,
        changed_at = coalesce(resolved_at, started_at)`,
      'create unique index incidents_by_external_id on incidents (source, external_id)',
      'create index incidents_by_source on incidents (source, started_at)',

      `create table incident_aliases (
        alias text not null,
        incident_id text not null references incidents (id),
        primary key (alias, incident_id)
      )${endOfKeyed}`,

      'alter table requests add column bundle text',
      'alter table requests add column origin text',
      'create unique index requests_by_origin on requests (origin)',

      'alter table grants add column rule text',
      'alter table grants add column shift_schedule text',
      `alter table grants add column shift_level ${integer}`,
      `alter table grants add column grace_ends_at ${integer}`,
      'alter table grants add column grace_cause text',
      'create index grants_by_rule on grants (rule, state, starts_at)',

      `create table stages (
        request_id text not null references requests (id),
        chain text not null,
        stage ${integer} not null,
        started_at ${integer} not null,
        ends_at ${integer},
        asked text not null,
        outcome text,
        primary key (request_id, chain, stage)
      )${endOfKeyed}`,

      `create table shift_snapshots (
        source text not null,
        feed text not null,
        taken_at ${integer} not null,
        fetched_at ${integer} not null,
        shifts text not null,
        replaced_at ${integer},
        primary key (source, feed, taken_at)
      )${endOfTable}`,
      'create unique index shift_snapshots_newest on shift_snapshots (source, feed) where replaced_at is null',
      'create index shift_snapshots_by_time on shift_snapshots (fetched_at)',
      `create table shift_snapshot_head (
        id ${integer} primary key check (id = 1),
        version ${integer} not null
      )${endOfTable}`,
      'insert into shift_snapshot_head (id, version) values (1, 0)',
      `create table polls (
        source text not null,
        subject text not null,
        succeeded_at ${integer},
        tried_at ${integer} not null,
        failures ${integer} not null,
        last_error text,
        validators text not null,
        empty_since ${integer},
        primary key (source, subject)
      )${endOfKeyed}`,

      `create table deliveries (
        id text primary key,
        source text not null,
        delivery_id text not null,
        received_at ${integer} not null,
        incidents text not null,
        done_at ${integer},
        outcome text,
        unique (source, delivery_id)
      )${endOfTable}`,
      'create index deliveries_by_end on deliveries (done_at) where done_at is not null',

      `create table outbox (
        id text primary key,
        channel text not null,
        subject text not null,
        notice text not null,
        created_at ${integer} not null,
        sent_at ${integer},
        failed_at ${integer},
        attempts ${integer} not null,
        last_error text
      )${endOfTable}`,
      'create index outbox_by_subject on outbox (subject, created_at)',
      'create index outbox_by_channel on outbox (channel, created_at)',
      'create index outbox_by_time on outbox (created_at)',
      'create index outbox_waiting on outbox (channel, created_at) where sent_at is null and failed_at is null',
      'create index outbox_by_sending on outbox (sent_at) where sent_at is not null',
      'create index outbox_by_failure on outbox (failed_at) where failed_at is not null',

      `create table reviews (
        id text primary key,
        kind text not null,
        user_id text not null,
        request_id text,
        grant_id text,
        owners text not null,
        opened_at ${integer} not null,
        due_at ${integer} not null,
        state text not null,
        outcome text,
        note text,
        closed_by text,
        closed_at ${integer}
      )${endOfTable}`,
      'create index reviews_by_user on reviews (user_id, opened_at)',
      'create index reviews_by_state on reviews (state, opened_at)',
      'create index reviews_by_time on reviews (opened_at)',
      'create index reviews_by_due on reviews (state, due_at)',
    ];
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};
