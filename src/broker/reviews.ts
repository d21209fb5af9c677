/** Reviews: what was opened past the usual yes is looked at afterwards, by somebody else, by a date. */
import { AppError } from '../protocol/errors.ts';
import { createId } from '../protocol/ids.ts';
import type { CloseReview, ReviewView } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { AuditRow, RequestRow, ReviewRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import { peopleOf } from './approvers.ts';
import { type AuditLog, BROKER } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import type { Outbox } from './outbox.ts';
import { askPermission } from './permissions.ts';
import type { CurrentRules } from './rules.ts';

export interface Reviews {
  /** For a request that was granted without the yes it should have had. */
  open(tx: Tx, kind: ReviewRow['kind'], request: RequestRow, why: string): Promise<void>;
  close(tx: Tx, caller: Caller, id: string, body: CloseReview): Promise<{ ref: string; audit: AuditRow }>;
  /** Open ones that this person may close, and those about this person. */
  concerning(tx: ReadTx, user: string): Promise<readonly ReviewRow[]>;
}

const MOST = 1000;

/** While it is, the person gets no automatic grant; break-glass is never taken away. */
export async function hasOverdueReview(tx: ReadTx, user: string, nowMs: number): Promise<boolean> {
  return (await tx.reviews({ user, dueBefore: nowMs, limit: 1 })).length > 0;
}

export function createReviews(rules: CurrentRules, log: AuditLog, outbox: Outbox): Reviews {
  return {
    async open(tx, kind, request, why) {
      const current = rules();
      const nowMs = await tx.now();
      const { owners, dueSeconds } = current.catalogue.reviews;
      const review: ReviewRow = {
        id: createId('rev', nowMs),
        kind,
        user: request.user,
        requestId: request.id,
        grantId: null,
        owners: peopleOf(current, owners, request.user, nowMs),
        openedAt: nowMs,
        dueAt: nowMs + dueSeconds * 1000,
        state: 'open',
        outcome: null,
        note: null,
        closedBy: null,
        closedAt: null,
      };
      await tx.insertReview(review);
      await log.record(tx, {
        event: 'review.opened',
        actor: BROKER,
        subject: { review: review.id, user: review.user, request: request.id },
        data: { kind, owners: review.owners, dueAt: formatInstant(review.dueAt) },
      });
      await outbox.post(tx, {
        id: `review/${review.id}`,
        kind: 'review',
        subject: review.id,
        to: review.owners as string[],
        title: `review ${review.id}: ${review.user} was let in by ${kind}`,
        who: review.user,
        what: (request.targets as unknown as { resource: string; role: string }[])
          .map(({ resource, role }) => `${resource}:${role}`)
          .join(' '),
        why,
        howLong: `to be closed by ${formatInstant(review.dueAt)}`,
        rule: kind,
        command: `oncall reviews close ${review.id} --outcome justified --note '…'`,
      });
    },

    async close(tx, caller, id, body) {
      const review = await tx.review(id);
      const me = caller.person.id;
      const nowMs = await tx.now();
      if (review?.user === me) throw new AppError('forbidden', 'nobody closes a review of their own access');
      const isAllowed =
        review &&
        (mayClose(review, me, nowMs) ||
          (await askPermission(rules(), caller, tx, 'review', { user: review.user })).allowed);
      if (!isAllowed) {
        throw new AppError('not_found', `there is no review '${id}' for you to close`, {
          hint: 'oncall reviews list',
        });
      }
      const closed = await tx.closeReview(id, {
        outcome: body.outcome,
        note: body.note,
        closedBy: me,
        closedAt: nowMs,
      });
      if (!closed) throw new AppError('conflict', `review ${id} is closed already`);
      const audit = await log.record(tx, {
        event: 'review.closed',
        actor: actorOf(caller),
        subject: { review: id, user: review.user, owner: me },
        data: { ...body },
        embedded: caller.embedded,
      });
      return { ref: id, audit };
    },

    async concerning(tx, user) {
      const nowMs = await tx.now();
      const open = await tx.reviews({ state: 'open', limit: MOST });
      return open.filter((review) => review.user === user || mayClose(review, user, nowMs));
    },
  };

  /** Its owners as of its opening, and those who would be now: somebody may have left since. */
  function mayClose(review: ReviewRow, user: string, nowMs: number): boolean {
    if (review.user === user) return false;
    const current = rules();
    if ((review.owners as string[]).includes(user)) return true;
    return peopleOf(current, current.catalogue.reviews.owners, review.user, nowMs).includes(user);
  }
}

export function viewReview(row: ReviewRow, nowMs: number): ReviewView {
  return {
    id: row.id,
    kind: row.kind,
    user: row.user,
    requestId: row.requestId,
    grantId: row.grantId,
    owners: row.owners as string[],
    openedAt: formatInstant(row.openedAt),
    dueAt: formatInstant(row.dueAt),
    overdue: row.state === 'open' && row.dueAt <= nowMs,
    state: row.state,
    outcome: row.outcome,
    note: row.note,
    closedBy: row.closedBy,
    closedAt: row.closedAt === null ? null : formatInstant(row.closedAt),
  };
}
