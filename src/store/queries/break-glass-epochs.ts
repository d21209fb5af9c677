import { sql } from 'kysely';
import { createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { BreakGlassEpochRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';

const epoch = createRowCodec<BreakGlassEpochRow>({});

/** Of a resource that nothing happened to yet. */
const FIRST = 1;

const all = ({ db }: BuildContext) => db.selectFrom('break_glass_epochs').selectAll().orderBy('resource');

const ofResource = ({ db }: BuildContext, { resource }: { resource: string }) =>
  db.selectFrom('break_glass_epochs').selectAll().where('resource', '=', resource);

/** A taint that no rotation came after goes on; any other begins anew. */
const taint = ({ db }: BuildContext, { resource, atMs }: { resource: string; atMs: number }) =>
  db
    .insertInto('break_glass_epochs')
    .values({ resource, epoch: FIRST, rotated_at: null, tainted_at: atMs })
    .onConflict((conflict) =>
      conflict.column('resource').doUpdateSet({
        tainted_at: sql`case
          when break_glass_epochs.tainted_at is not null
            and (break_glass_epochs.rotated_at is null
              or break_glass_epochs.rotated_at <= break_glass_epochs.tainted_at)
          then break_glass_epochs.tainted_at
          else excluded.tainted_at
        end`,
      }),
    );

const raise = ({ db }: BuildContext, { resource, atMs }: { resource: string; atMs: number }) =>
  db
    .insertInto('break_glass_epochs')
    .values({ resource, epoch: FIRST + 1, rotated_at: atMs, tainted_at: null })
    .onConflict((conflict) =>
      conflict.column('resource').doUpdateSet({
        epoch: sql`break_glass_epochs.epoch + 1`,
        rotated_at: sql`excluded.rotated_at`,
      }),
    )
    .returning('epoch');

export function readBreakGlassEpochs(context: QueryContext) {
  return {
    async breakGlassEpoch(resource) {
      const found = await context.first(ofResource, { resource });
      return found ? epoch.toRow(found) : { resource, epoch: FIRST, rotatedAt: null, taintedAt: null };
    },
    async breakGlassEpochs() {
      return (await context.rows(all, {})).map(epoch.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeBreakGlassEpochs(context: QueryContext) {
  return {
    async taintResource(resource, atMs) {
      await context.change(taint, { resource, atMs });
    },
    async raiseBreakGlassEpoch(resource, atMs) {
      return (await context.one(raise, { resource, atMs })).epoch;
    },
  } satisfies Partial<Tx>;
}
