import { sql } from 'kysely';
import type { Migration } from './migration.ts';

/** JSON is text; instants are milliseconds since 1970; there is an index for each filter of the contract. */
export const initial: Migration = {
  name: '0001-initial',
  async apply(db, { integer, bytes, endOfTable, endOfKeyed }) {
    const statements = [
      `create table devices (
        id text primary key,
        user_id text not null,
        name text not null,
        key_id text not null unique,
        signing_key text not null,
        sealing_key text not null,
        keystore text not null,
        state text not null,
        created_at ${integer} not null,
        revoked_at ${integer},
        last_seen_at ${integer}
      )${endOfTable}`,
      'create index devices_by_user on devices (user_id, created_at)',
      'create index devices_by_state on devices (state, created_at)',

      `create table invites (
        code_hash text primary key,
        user_id text not null,
        created_by text not null,
        created_at ${integer} not null,
        expires_at ${integer} not null,
        used_at ${integer},
        device_id text
      )${endOfTable}`,

      `create table nonces (
        key_id text not null,
        nonce text not null,
        expires_at ${integer} not null,
        primary key (key_id, nonce)
      )${endOfKeyed}`,
      'create index nonces_by_end on nonces (expires_at)',

      `create table idempotency (
        device_id text not null,
        key text not null,
        fingerprint text not null,
        status ${integer} not null,
        reply text not null,
        created_at ${integer} not null,
        primary key (device_id, key)
      )${endOfKeyed}`,
      'create index idempotency_by_time on idempotency (created_at)',

      `create table attempts (
        key text primary key,
        started_at ${integer} not null,
        ends_at ${integer} not null,
        count ${integer} not null
      )${endOfTable}`,
      'create index attempts_by_end on attempts (ends_at)',

      `create table incidents (
        id text primary key,
        source text not null,
        state text not null,
        priority text not null,
        service text not null,
        title text not null,
        declared_by text not null,
        started_at ${integer} not null,
        resolved_at ${integer},
        resolved_by text
      )${endOfTable}`,
      'create index incidents_by_state on incidents (state, started_at)',
      'create index incidents_by_service on incidents (service, started_at)',
      'create index incidents_by_time on incidents (started_at)',

      `create table requests (
        id text primary key,
        user_id text not null,
        device_id text not null,
        state text not null,
        targets text not null,
        incident text,
        reason text,
        duration_seconds ${integer} not null,
        digest text not null,
        decision text not null,
        chains text not null,
        created_at ${integer} not null,
        expires_at ${integer} not null,
        decided_at ${integer},
        outcome text
      )${endOfTable}`,
      'create index requests_by_user on requests (user_id, created_at)',
      'create index requests_by_state on requests (state, created_at)',
      'create index requests_by_time on requests (created_at)',

      `create table approvals (
        request_id text not null references requests (id),
        approver text not null,
        verdict text not null,
        duration_seconds ${integer},
        reason text,
        at ${integer} not null,
        primary key (request_id, approver)
      )${endOfKeyed}`,

      `create table grants (
        id text primary key,
        request_id text not null,
        user_id text not null,
        resource text not null,
        role text not null,
        state text not null,
        via text not null,
        starts_at ${integer} not null,
        ends_at ${integer} not null,
        hard_ends_at ${integer} not null,
        extensions ${integer} not null,
        shift_ends_at ${integer},
        end_cause text,
        ended_at ${integer}
      )${endOfKeyed}`,
      'create index grants_by_user on grants (user_id, state, starts_at)',
      'create index grants_by_resource on grants (resource, role, state, starts_at)',
      'create index grants_by_request on grants (request_id)',
      'create index grants_by_state on grants (state, starts_at)',
      'create index grants_by_time on grants (starts_at)',

      `create table grant_incidents (
        grant_id text not null references grants (id),
        incident text not null,
        primary key (grant_id, incident)
      )${endOfKeyed}`,
      'create index grant_incidents_by_incident on grant_incidents (incident)',

      `create table credentials (
        id text primary key,
        grant_id text not null references grants (id),
        device_id text not null references devices (id),
        kind text not null,
        handle text not null,
        state text not null,
        target text not null,
        public_part text not null,
        created_at ${integer} not null,
        lease_until ${integer} not null,
        expires_at ${integer} not null,
        end_cause text,
        ending_at ${integer},
        ended_at ${integer},
        proof text not null,
        unique (kind, handle)
      )${endOfTable}`,
      'create index credentials_by_grant on credentials (grant_id, state)',
      'create index credentials_by_device on credentials (device_id, state)',
      'create index credentials_by_kind on credentials (kind, state, created_at)',
      'create index credentials_by_state on credentials (state, created_at)',
      'create index credentials_by_handle on credentials (handle)',

      `create table revocation_lists (
        list text primary key,
        number ${integer} not null
      )${endOfTable}`,
      `create table revocations (
        list text not null references revocation_lists (list),
        serial text not null,
        expires_at ${integer} not null,
        number ${integer} not null,
        primary key (list, serial)
      )${endOfKeyed}`,
      'create index revocations_by_end on revocations (list, expires_at)',

      `create table jobs (
        id text primary key,
        kind text not null,
        subject text not null,
        due_at ${integer} not null,
        lease_until ${integer} not null,
        attempts ${integer} not null,
        last_error text,
        next_id text,
        next_due_at ${integer},
        unique (kind, subject)
      )${endOfKeyed}`,
      'create index jobs_by_time on jobs (due_at)',

      `create table audit_head (
        id ${integer} primary key check (id = 1),
        size ${integer} not null
      )${endOfTable}`,
      'insert into audit_head (id, size) values (1, 0)',
      `create table audit_entries (
        number ${integer} primary key,
        at ${integer} not null,
        event text not null,
        entry text not null
      )${endOfTable}`,
      'create index audit_entries_by_event on audit_entries (event, number)',
      'create index audit_entries_by_time on audit_entries (at)',
      `create table audit_nodes (
        level ${integer} not null,
        number ${integer} not null,
        hash ${bytes} not null,
        primary key (level, number)
      )${endOfTable}`,
      `create table audit_subjects (
        value text not null,
        number ${integer} not null references audit_entries (number),
        primary key (value, number)
      )${endOfKeyed}`,
    ];
    for (const statement of statements) await sql.raw(statement).execute(db);
  },
};
