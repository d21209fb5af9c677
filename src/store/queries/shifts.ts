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

const newest = ({ db }: BuildContext) =>
  db
    .selectFrom('shift_snapshots')
    .select(['source', 'feed', 'taken_at', 'fetched_at', 'shifts'])
    .where('replaced_at', 'is', null);

const newestOfEach = (context: BuildContext) => newest(context).orderBy('source').orderBy('feed');

const newestOf = (context: BuildContext, { source, feed }: { source: string; feed: string }) =>
  newest(context).where('source', '=', source).where('feed', '=', feed);

const versionNow = ({ db }: BuildContext) => db.selectFrom('shift_snapshot_head').select('version');

/** Takes the head's lock: two brokers that read one feed at once write one after the other. */
const raise = ({ db }: BuildContext) =>
  db.updateTable('shift_snapshot_head').set((to) => ({ version: to('version', '+', 1) }));

const replace = ({ db }: BuildContext, { source, feed, at }: { source: string; feed: string; at: number }) =>
  db
    .updateTable('shift_snapshots')
    .set({ replaced_at: at })
    .where('source', '=', source)
    .where('feed', '=', feed)
    .where('replaced_at', 'is', null);

/** Two answers of one millisecond are one snapshot: what was said last. */
const put = ({ db }: BuildContext, columns: Columns<ShiftSnapshotRow>) =>
  db
    .insertInto('shift_snapshots')
    .values({ ...columns, replaced_at: null })
    .onConflict((conflict) =>
      conflict.columns(['source', 'feed', 'taken_at']).doUpdateSet((to) => ({
        fetched_at: to.ref('excluded.fetched_at'),
        shifts: to.ref('excluded.shifts'),
        replaced_at: null,
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
      const { source, feed, takenAt, fetchedAt } = row;
      const before = await context.first(newestOf, { source, feed });
      if (before !== undefined && fetchedAt < before.fetched_at) return;
      const same =
        before !== undefined && canonicalJson(snapshot.toRow(before).shifts) === canonicalJson(row.shifts);
      if (before !== undefined && !same) await context.change(replace, { source, feed, at: takenAt });
      await context.change(put, snapshot.toColumns(same ? { ...row, takenAt: before.taken_at } : row));
      await sweep(context, snapshots, fetchedAt - SNAPSHOT_KEPT_MS);
    },
    async putPoll(row) {
      await context.change(putPoll, poll.toColumns(row));
    },
  } satisfies Partial<Tx>;
}
