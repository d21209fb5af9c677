import { sql } from 'kysely';
import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { IdempotencyRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { sweep, sweeping } from './sweep.ts';

/** What makes a message count once: nonces, idempotency keys, counted attempts. All of it is short-lived and swept. */
const IDEMPOTENCY_KEPT_MS = 24 * 60 * 60_000;

const idempotency = createRowCodec<IdempotencyRow>({});

const replyUnder = ({ db }: BuildContext, { deviceId, key }: { deviceId: string; key: string }) =>
  db.selectFrom('idempotency').selectAll().where('device_id', '=', deviceId).where('key', '=', key);

const attemptsUnder = ({ db }: BuildContext, { key, nowMs }: { key: string; nowMs: number }) =>
  db.selectFrom('attempts').select('count').where('key', '=', key).where('ends_at', '>', nowMs);

const insertNonce = ({ db }: BuildContext, columns: { key_id: string; nonce: string; expires_at: number }) =>
  db
    .insertInto('nonces')
    .values(columns)
    .onConflict((conflict) => conflict.columns(['key_id', 'nonce']).doNothing());

const insertReply = ({ db }: BuildContext, columns: Columns<IdempotencyRow>) =>
  db.insertInto('idempotency').values(columns);

const countOne = (
  { db }: BuildContext,
  columns: { key: string; started_at: number; ends_at: number; count: number },
) =>
  db
    .insertInto('attempts')
    .values(columns)
    .onConflict((conflict) =>
      conflict.column('key').doUpdateSet({
        count: sql`case when attempts.ends_at <= excluded.started_at then 1 else attempts.count + 1 end`,
        started_at: sql`case when attempts.ends_at <= excluded.started_at then excluded.started_at else attempts.started_at end`,
        ends_at: sql`case when attempts.ends_at <= excluded.started_at then excluded.ends_at else attempts.ends_at end`,
      }),
    )
    .returning('count');

export function readReplay(context: QueryContext) {
  return {
    async idempotency(deviceId, key) {
      const found = await context.first(replyUnder, { deviceId, key });
      return found && idempotency.toRow(found);
    },
    async attempts(key, nowMs) {
      const found = await context.first(attemptsUnder, { key, nowMs });
      return found?.count ?? 0;
    },
  } satisfies Partial<ReadTx>;
}

export function writeReplay(context: QueryContext) {
  return {
    async claimNonce(keyId, nonce, expiresAt, nowMs) {
      await sweep(context, nonces, nowMs);
      return (await context.change(insertNonce, { key_id: keyId, nonce, expires_at: expiresAt })) === 1n;
    },
    async insertIdempotency(row) {
      await sweep(context, replies, row.createdAt - IDEMPOTENCY_KEPT_MS);
      await context.change(insertReply, idempotency.toColumns(row));
    },
    async countAttempt(key, windowMs, nowMs) {
      await sweep(context, attempts, nowMs);
      const row = { key, started_at: nowMs, ends_at: nowMs + windowMs, count: 1 };
      return (await context.one(countOne, row)).count;
    },
  } satisfies Partial<Tx>;
}

const nonces = sweeping({ table: 'nonces', keys: ['key_id', 'nonce'], until: 'expires_at' });
const replies = sweeping({ table: 'idempotency', keys: ['device_id', 'key'], until: 'created_at' });
const attempts = sweeping({ table: 'attempts', keys: ['key'], until: 'ends_at' });
