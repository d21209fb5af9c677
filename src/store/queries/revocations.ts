import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { RevocationRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

/** Both databases bound the parameters of one statement; four for each entry. */
const INSERT_BATCH = 1000;

const revocation = createRowCodec<RevocationRow>({});

const numberOf = ({ db }: BuildContext, { list }: { list: string }) =>
  db.selectFrom('revocation_lists').select('number').where('list', '=', list);

const entriesOf = ({ db }: BuildContext, { list }: { list: string }) =>
  db.selectFrom('revocations').selectAll().where('list', '=', list).orderBy('number').orderBy('serial');

/** Takes the list's lock: two that add at once get two numbers. */
const raise = ({ db }: BuildContext, { list }: { list: string }) =>
  db
    .insertInto('revocation_lists')
    .values({ list, number: 1 })
    .onConflict((conflict) =>
      conflict.column('list').doUpdateSet((to) => ({ number: to('revocation_lists.number', '+', 1) })),
    )
    .returning('number');

const setNumber = ({ db }: BuildContext, { list, number }: { list: string; number: number }) =>
  db.updateTable('revocation_lists').set({ number }).where('list', '=', list);

const insert = ({ db }: BuildContext, { entries }: { entries: readonly Columns<RevocationRow>[] }) =>
  db
    .insertInto('revocations')
    .values(entries)
    .onConflict((conflict) => conflict.columns(['list', 'serial']).doNothing());

const sweep = ({ db }: BuildContext, { list, beforeMs }: { list: string; beforeMs: number }) =>
  db.deleteFrom('revocations').where('list', '=', list).where('expires_at', '<', beforeMs);

export function readRevocations(context: QueryContext) {
  return {
    async revocations(list) {
      const head = await context.first(numberOf, { list });
      const entries = await context.rows(entriesOf, { list });
      return { number: head?.number ?? 0, entries: entries.map(revocation.toRow) };
    },
  } satisfies Partial<ReadTx>;
}

export function writeRevocations(context: QueryContext) {
  return {
    async addRevocations(list, entries) {
      const { number } = await context.one(raise, { list });
      let added = 0n;
      for (let from = 0; from < entries.length; from += INSERT_BATCH) {
        const batch = entries.slice(from, from + INSERT_BATCH);
        added += await context.change(insert, {
          entries: batch.map(({ serial, expiresAt }) => ({ list, serial, expires_at: expiresAt, number })),
        });
      }
      if (added > 0n) return number;
      await context.change(setNumber, { list, number: number - 1 });
      return number - 1;
    },
    async sweepRevocations(list, beforeMs) {
      await context.change(sweep, { list, beforeMs });
    },
  } satisfies Partial<Tx>;
}
