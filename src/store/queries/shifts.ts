import { canonicalJson } from '../../protocol/canonical-json.ts';
import { type Columns, createRowCodec } from '../columns.ts';
import type { BuildContext, QueryContext } from '../query-context.ts';
import type { PollRow, ShiftSnapshotRow } from '../rows.ts';
import type { ReadTx, Tx } from '../store.ts';
import { sweep, sweeping } from './sweep.ts';

/** After it was said for the last time: the newest of a feed that is still read is never that old. */
const SNAPSHOT_KEPT_MS = 90 * 24 * 60 * 60_000;

const snapshot = createRowCodec<ShiftSnapshotRow>({ shifts: 'json' });
const poll = createRowCodec<PollRow>({ validators: 'json' });
const snapshots = sweeping({
  table: 'shift_snapshots',
  keys: ['source', 'feed', 'taken_at'],
  until: 'fetched_at',
});

const newestOfEach = ({ db }: BuildContext) =>
  db
    .selectFrom('shift_snapshots')
    .selectAll('shift_snapshots')
    .innerJoin(
      (nested) =>
        nested
          .selectFrom('shift_snapshots')
          .select(({ fn }) => ['source', 'feed', fn.max('taken_at').as('taken_at')])
          .groupBy(['source', 'feed'])
          .as('newest'),
      (join) =>
        join
          .onRef('newest.source', '=', 'shift_snapshots.source')
          .onRef('newest.feed', '=', 'shift_snapshots.feed')
          .onRef('newest.taken_at', '=', 'shift_snapshots.taken_at'),
    )
    .orderBy('shift_snapshots.source')
    .orderBy('shift_snapshots.feed');

const newestOf = ({ db }: BuildContext, { source, feed }: { source: string; feed: string }) =>
  db
    .selectFrom('shift_snapshots')
    .selectAll()
    .where('source', '=', source)
    .where('feed', '=', feed)
    .orderBy('taken_at', 'desc')
    .limit(1);

const versionNow = ({ db }: BuildContext) => db.selectFrom('shift_snapshot_head').select('version');

/** Takes the head's lock: two brokers that read one feed at once write one after the other. */
const raise = ({ db }: BuildContext) =>
  db.updateTable('shift_snapshot_head').set((to) => ({ version: to('version', '+', 1) }));

const put = ({ db }: BuildContext, columns: Columns<ShiftSnapshotRow>) =>
  db
    .insertInto('shift_snapshots')
    .values(columns)
    .onConflict((conflict) =>
      conflict.columns(['source', 'feed', 'taken_at']).doUpdateSet((to) => ({
        fetched_at: to.ref('excluded.fetched_at'),
        shifts: to.ref('excluded.shifts'),
      })),
    );

const allPolls = ({ db }: BuildContext) =>
  db.selectFrom('polls').selectAll().orderBy('source').orderBy('subject');

const putPoll = ({ db }: BuildContext, columns: Columns<PollRow>) =>
  db
    .insertInto('polls')
    .values(columns)
    .onConflict((conflict) => conflict.columns(['source', 'subject']).doUpdateSet(columns));

export function readShifts(context: QueryContext) {
  return {
    async shiftSnapshots() {
      return (await context.rows(newestOfEach, {})).map(snapshot.toRow);
    },
    async shiftSnapshotVersion() {
      return (await context.one(versionNow, {})).version;
    },
    async polls() {
      return (await context.rows(allPolls, {})).map(poll.toRow);
    },
  } satisfies Partial<ReadTx>;
}

export function writeShifts(context: QueryContext) {
  return {
    async putShiftSnapshot(row) {
      await context.change(raise, {});
      const newest = await context.first(newestOf, { source: row.source, feed: row.feed });
      if (newest !== undefined && row.fetchedAt < newest.fetched_at) return;
      const same =
        newest !== undefined && canonicalJson(snapshot.toRow(newest).shifts) === canonicalJson(row.shifts);
      await context.change(put, snapshot.toColumns(same ? { ...row, takenAt: newest.taken_at } : row));
      await sweep(context, snapshots, row.fetchedAt - SNAPSHOT_KEPT_MS);
    },
    async putPoll(row) {
      await context.change(putPoll, poll.toColumns(row));
    },
  } satisfies Partial<Tx>;
}
