import { createRowCodec } from '../columns.ts';
import type { QueryContext } from '../dialect.ts';
import type { RevocationRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

/** Both databases bound the parameters of one statement; four for each entry. */
const INSERT_BATCH = 1000;

const revocation = createRowCodec<RevocationRow>({});

export function readRevocations({ db }: QueryContext) {
  return {
    async revocations(list) {
      const head = await db
        .selectFrom('revocation_lists')
        .select('number')
        .where('list', '=', list)
        .executeTakeFirst();
      const entries = await db
        .selectFrom('revocations')
        .selectAll()
        .where('list', '=', list)
        .orderBy('number')
        .orderBy('serial')
        .execute();
      return { number: head?.number ?? 0, entries: entries.map(revocation.toRow) };
    },
  } satisfies Partial<ReadTx>;
}

export function writeRevocations({ db }: QueryContext) {
  return {
    async addRevocations(list, entries) {
      // Raising first takes the list's lock: two that add at once get two numbers.
      const { number } = await db
        .insertInto('revocation_lists')
        .values({ list, number: 1 })
        .onConflict((conflict) =>
          conflict.column('list').doUpdateSet((to) => ({ number: to('revocation_lists.number', '+', 1) })),
        )
        .returning('number')
        .executeTakeFirstOrThrow();
      let added = 0n;
      for (let from = 0; from < entries.length; from += INSERT_BATCH) {
        const batch = entries.slice(from, from + INSERT_BATCH);
        const { numInsertedOrUpdatedRows } = await db
          .insertInto('revocations')
          .values(batch.map(({ serial, expiresAt }) => ({ list, serial, expires_at: expiresAt, number })))
          .onConflict((conflict) => conflict.columns(['list', 'serial']).doNothing())
          .executeTakeFirstOrThrow();
        added += numInsertedOrUpdatedRows ?? 0n;
      }
      if (added > 0n) return number;
      await db
        .updateTable('revocation_lists')
        .set({ number: number - 1 })
        .where('list', '=', list)
        .execute();
      return number - 1;
    },
    async sweepRevocations(list, beforeMs) {
      await db
        .deleteFrom('revocations')
        .where('list', '=', list)
        .where('expires_at', '<', beforeMs)
        .execute();
    },
  } satisfies Partial<Tx>;
}
