/** Reviews: what was opened past the usual yes is looked at afterwards, by somebody else, by a date. */
import { parseEntry } from '../break-glass/journal-entry.ts';
import type { Json } from '../protocol/canonical-json.ts';
import { AppError } from '../protocol/errors.ts';
import { createId } from '../protocol/ids.ts';
import type { CloseReview, ReviewedUse, ReviewView } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { AuditRow, RequestRow, ReviewRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import type { Alarms } from './alarms.ts';
import { peopleOf } from './approvers.ts';
import { type AuditLog, BROKER } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import { settleJournal } from './journal-breaks.ts';
import { lineIn } from './journal-past.ts';
import type { Outbox } from './outbox.ts';
import { askPermission } from './permissions.ts';
import { plainWords } from './plain-words.ts';
import { matterOf, type ReviewMatter, type UseMatter } from './review-matter.ts';
import type { CurrentRules, Rules } from './rules.ts';

export interface Reviews {
  /** For a request that was granted without the yes it should have had. */
  open(tx: Tx, kind: ReviewRow['kind'], request: RequestRow, why: string): Promise<void>;
  /**
   * For what no request stands behind; whoever opens it tells of it. `resource` is what stays tainted while it is open. Answers
   * its id.
   */
  openAbout(tx: Tx, user: string, resource: string | null, matter: ReviewMatter): Promise<string>;
  close(tx: Tx, caller: Caller, id: string, body: CloseReview): Promise<{ ref: string; audit: AuditRow }>;
  /** Open ones that this person may close, and those about this person. */
  concerning(tx: ReadTx, user: string): Promise<readonly ReviewRow[]>;
  /** Whether somebody may look at it: whose it is about, its owners, and whom policy lets. */
  maySee(tx: ReadTx, caller: Caller, review: ReviewRow): Promise<boolean>;
}

const MOST = 1000;
/** Uses of one slot that are looked at for the tools they name. */
const MOST_TOOLS = 100;

/** While it is, the person gets no automatic grant; break-glass is never taken away. */
export async function hasOverdueReview(tx: ReadTx, user: string, nowMs: number): Promise<boolean> {
  return (await tx.reviews({ user, dueBefore: nowMs, limit: 1 })).length > 0;
}

/** Whether somebody owns reviews now, or policy lets them review. */
export async function mayReview(tx: ReadTx, rules: Rules, caller: Caller): Promise<boolean> {
  const { owners } = rules.catalogue.reviews;
  if (peopleOf(rules, owners, '', await tx.now()).includes(caller.person.id)) return true;
  return (await askPermission(rules, caller, tx, 'review')).allowed;
}

export function createReviews(rules: CurrentRules, log: AuditLog, outbox: Outbox, alarms: Alarms): Reviews {
  async function insert(
    tx: Tx,
    about: Pick<ReviewRow, 'kind' | 'user' | 'requestId' | 'resource' | 'about'>,
    subject: Readonly<Record<string, string>>,
  ): Promise<ReviewRow> {
    const current = rules();
    const nowMs = await tx.now();
    const { owners, dueSeconds } = current.catalogue.reviews;
    const review: ReviewRow = {
      id: createId('rev', nowMs),
      ...about,
      grantId: null,
      owners: peopleOf(current, owners, about.user, nowMs),
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
      subject: { review: review.id, user: review.user, ...subject },
      data: { kind: review.kind, owners: review.owners, dueAt: formatInstant(review.dueAt) },
    });
    return review;
  }

  return {
    async open(tx, kind, request, why) {
      const { id: requestId, user } = request;
      const about = { kind, user, requestId, resource: null, about: null };
      const review = await insert(tx, about, { request: requestId });
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

    async openAbout(tx, user, resource, matter) {
      const about = { kind: 'break-glass', user, requestId: null, resource } as const;
      const subject = { device: matter.device, ...(resource !== null && { resource }) };
      return (await insert(tx, { ...about, about: matter as unknown as Json }, subject)).id;
    },

    async close(tx, caller, id, body) {
      const review = await tx.review(id);
      const me = caller.person.id;
      const nowMs = await tx.now();
      if (review?.user === me)
        throw new AppError('forbidden', 'nobody closes a review of their own access', {
          hint: 'oncall reviews list names its owners: one of them does',
        });
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
      if (!closed)
        throw new AppError('conflict', `review ${id} is closed already`, {
          hint: 'oncall reviews list shows those that are open',
        });
      const audit = await log.record(tx, {
        event: 'review.closed',
        actor: actorOf(caller),
        subject: { review: id, user: review.user, owner: me },
        data: { ...body },
        embedded: caller.embedded,
      });
      const matter = matterOf(review.about);
      // Found to be misuse, nothing opens by itself for that device any more: what is left is to lock it.
      if (matter?.kind === 'journal' && body.outcome !== 'misuse')
        await settleJournal(tx, alarms, matter.device, `${me} has looked at it: ${body.outcome}`);
      return { ref: id, audit };
    },

    async concerning(tx, user) {
      const nowMs = await tx.now();
      const open = await tx.reviews({ state: 'open', limit: MOST });
      return open.filter((review) => review.user === user || mayClose(review, user, nowMs));
    },

    async maySee(tx, caller, review) {
      const me = caller.person.id;
      if (review.user === me || mayClose(review, me, await tx.now())) return true;
      return (await askPermission(rules(), caller, tx, 'review', { user: review.user })).allowed;
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

export async function viewReview(tx: ReadTx, row: ReviewRow): Promise<ReviewView> {
  const matter = matterOf(row.about);
  return {
    id: row.id,
    kind: row.kind,
    user: row.user,
    requestId: row.requestId,
    grantId: row.grantId,
    use: matter?.kind === 'use' ? await viewUse(tx, matter) : null,
    journal: matter?.kind === 'journal' ? { device: matter.device, why: matter.why } : null,
    owners: row.owners as string[],
    openedAt: formatInstant(row.openedAt),
    dueAt: formatInstant(row.dueAt),
    overdue: row.state === 'open' && row.dueAt <= (await tx.now()),
    state: row.state,
    outcome: row.outcome,
    note: row.note,
    closedBy: row.closedBy,
    closedAt: row.closedAt === null ? null : formatInstant(row.closedAt),
  };
}

/** With the tools that the journal has told of by now: it may go on after the review was opened. */
async function viewUse(tx: ReadTx, { kind: _kind, ...use }: UseMatter): Promise<ReviewedUse> {
  const subject = `${use.pack}/${use.slot}`;
  const rows = await tx.auditSearch({ event: 'journal.use', subject, limit: MOST_TOOLS });
  const tools = rows.toReversed().flatMap((row) => {
    const { device, event } = parseEntry(lineIn(row));
    return device === use.device && event.type === 'use' ? [plainWords(event.tool)] : [];
  });
  return { ...use, notes: [...use.notes], tools: [...new Set(tools)] };
}
