/**
 * What people are told. A notice is written in the transaction of what it tells of, and sent afterwards: a dead channel blocks
 * nothing, is tried again for a day, and shows. Sent again after a crash it carries the same id.
 */
import type { Channel, NoticeKind } from '../catalogue/types.ts';
import type { Notice, NoticeChannel, Recipient } from '../notify/notice.ts';
import type { Json } from '../protocol/canonical-json.ts';
import { AppError, isAppError } from '../protocol/errors.ts';
import { createId } from '../protocol/ids.ts';
import type { Reach } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { OutboxRow } from '../store/rows.ts';
import type { ReadTx, Store, Tx } from '../store/store.ts';
import type { CurrentRules, Rules } from './rules.ts';

/** A notice before it knows when and to whom exactly. */
export interface News extends Omit<Notice, 'at' | 'to'> {
  kind: NoticeKind;
  to: readonly string[];
  /** The request, grant or review that it is about. */
  subject: string;
}

export interface Outbox {
  /** The same id twice is told once. */
  post(tx: Tx, news: News): Promise<void>;
  /** The timer of one notice on one channel: sends it, throws to be tried again, or says when to look again. */
  deliver(rowId: string, signal: AbortSignal): Promise<number | undefined>;
  /** Channels that do not work, in words for people. */
  warnings(tx: ReadTx): Promise<string[]>;
}

const GIVE_UP_MS = 24 * 3_600_000;
const SLOW_MS = 60_000;
const FAILED_SINCE_MS = 3_600_000;
const MOST = 500;
/** On one channel: one that hangs leaves room for the others. */
const AT_ONCE = 3;
const ROOM_AGAIN_MS = 1000;

export function createOutbox(
  store: Store,
  rules: CurrentRules,
  channelOf: (channel: Channel) => Promise<NoticeChannel>,
): Outbox {
  const sending = new Map<string, number>();

  return {
    async post(tx, { subject, to, ...rest }) {
      const current = rules();
      const nowMs = await tx.now();
      const notice: Notice = { ...rest, at: formatInstant(nowMs), to: recipientsOf(current, to) };
      for (const channel of current.catalogue.channels.values()) {
        if (!channel.notices.includes(notice.kind) || !canReachAny(channel, notice.to)) continue;
        const id = `${notice.id}@${channel.id}`;
        const isNew = await tx.insertNotice({
          id,
          channel: channel.id,
          subject,
          notice: notice as unknown as Json,
          createdAt: nowMs,
          sentAt: null,
          failedAt: null,
          attempts: 0,
          lastError: null,
        });
        if (isNew)
          await tx.insertJob({ id: createId('job', nowMs), kind: 'notice', subject: id, dueAt: nowMs });
      }
    },

    async deliver(rowId, signal) {
      const { row, isLate, nowMs } = await store.read(async (tx) => {
        const found = await tx.notice(rowId);
        return { row: found, isLate: found && (await isOvertaken(tx, found)), nowMs: await tx.now() };
      });
      if (!row || row.sentAt !== null || row.failedAt !== null) return undefined;
      if (isLate) {
        const lastError = 'not sent: the request was settled before';
        await store.write((tx) => tx.updateNotice(rowId, { sentAt: nowMs, lastError }));
        return undefined;
      }
      const busy = sending.get(row.channel) ?? 0;
      if (busy >= AT_ONCE) return nowMs + ROOM_AGAIN_MS;
      sending.set(row.channel, busy + 1);
      const attempts = row.attempts + 1;
      try {
        await send(row, signal);
        await store.write(async (tx) =>
          tx.updateNotice(rowId, { sentAt: await tx.now(), attempts, lastError: null }),
        );
      } catch (error) {
        const lastError = error instanceof Error ? error.message : 'it failed';
        const isFinal = isPermanent(error) || nowMs - row.createdAt > GIVE_UP_MS;
        await store.write((tx) =>
          tx.updateNotice(rowId, { attempts, lastError, ...(isFinal && { failedAt: nowMs }) }),
        );
        if (!isFinal) throw error;
      } finally {
        sending.set(row.channel, (sending.get(row.channel) ?? 1) - 1);
      }
      return undefined;
    },

    async warnings(tx) {
      const nowMs = await tx.now();
      const counts = await tx.countNotices(nowMs - FAILED_SINCE_MS);
      return counts.flatMap(({ channel, waiting, oldestAt, failed }) => {
        const isSlow = oldestAt !== null && nowMs - oldestAt > SLOW_MS;
        if (isSlow)
          return [`${waiting} notices wait on channel ${channel}, since ${formatInstant(oldestAt)}`];
        return failed > 0
          ? [`channel ${channel} refused ${failed === 1 ? 'a notice' : `${failed} notices`}`]
          : [];
      });
    },
  };

  async function send(row: OutboxRow, signal: AbortSignal): Promise<void> {
    const channel = rules().catalogue.channels.get(row.channel);
    if (!channel) {
      throw new AppError('notice_failed', `channel ${row.channel} has left the catalogue`, {
        details: { permanent: true },
      });
    }
    await (await channelOf(channel)).send(row.notice as unknown as Notice, signal);
  }
}

/** Nobody is to be woken for a request that has its answer. */
async function isOvertaken(tx: ReadTx, { subject, notice }: OutboxRow): Promise<boolean> {
  if ((notice as unknown as Notice).kind !== 'approval') return false;
  return (await tx.request(subject))?.state !== 'pending';
}

/** How the asking of each of these people about a request fares. */
export async function reachOf(
  tx: ReadTx,
  { catalogue }: Rules,
  requestId: string,
  users: readonly string[],
): Promise<ReadonlyMap<string, Reach>> {
  const rows = await tx.notices({ subject: requestId, limit: MOST });
  return new Map(
    users.map((user) => {
      const own = rows.filter((row) => {
        const notice = row.notice as unknown as Notice;
        const channel = catalogue.channels.get(row.channel);
        const own = notice.to.filter((one) => one.user === user);
        return notice.kind === 'approval' && own.length > 0 && channel && canReachAny(channel, own);
      });
      return [user, bestOf(own)];
    }),
  );
}

function recipientsOf({ catalogue }: Rules, users: readonly string[]): Recipient[] {
  return [...new Set(users)].flatMap((id) => {
    const person = catalogue.people.get(id);
    return person ? [{ user: id, name: person.name, email: person.email, ids: person.ids }] : [];
  });
}

/** A shared channel reaches everybody, and whoever reads along; e-mail those who have an address. */
function canReachAny({ settings }: Channel, recipients: readonly Recipient[]): boolean {
  return settings.kind !== 'email' || recipients.some(({ email }) => email !== undefined);
}

function bestOf(rows: readonly OutboxRow[]): Reach {
  if (rows.some(({ sentAt }) => sentAt !== null)) return 'sent';
  if (rows.some(({ failedAt }) => failedAt === null)) return 'sending';
  return rows.length > 0 ? 'failed' : 'none';
}

function isPermanent(error: unknown): boolean {
  return isAppError(error, 'notice_failed') && error.details?.permanent === true;
}
