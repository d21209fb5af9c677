import type { ReviewView } from '../../protocol/messages.ts';
import type { Line, Piece } from '../io.ts';
import { tableLines } from '../table.ts';
import { bothTimes } from '../times.ts';

export function reviewTable(reviews: readonly ReviewView[], now: number): Line[] {
  return tableLines(reviews, [
    { header: 'REVIEW', cell: ({ id }) => id },
    { header: 'STATE', cell: statePiece },
    { header: 'ABOUT', cell: ({ user }) => ({ text: user, style: 'bold' }) },
    { header: 'KIND', cell: ({ kind }) => kind },
    { header: 'OPENED', cell: ({ openedAt }) => bothTimes(openedAt, now) },
    { header: 'DUE', cell: ({ dueAt }) => bothTimes(dueAt, now) },
    { header: 'OWNERS', cell: ({ owners }) => owners.join(' ') || '-' },
    { header: 'REQUEST', cell: ({ requestId, grantId }) => requestId ?? grantId ?? '-' },
    { header: 'NOTE', cell: ({ note }) => note ?? '-' },
  ]);
}

export function reviewLine(review: ReviewView, now: number): Line {
  const { id, kind, user, dueAt, closedBy, closedAt } = review;
  const when =
    closedAt === null
      ? `due ${bothTimes(dueAt, now)}`
      : `by ${closedBy ?? '-'} at ${bothTimes(closedAt, now)}`;
  return [statePiece(review), ` ${kind} of ${user}, ${when}  ${id}`];
}

function statePiece({ state, overdue, outcome }: ReviewView): Piece {
  if (state === 'closed') return { text: `closed${outcome === null ? '' : `: ${outcome}`}`, style: 'green' };
  return overdue ? { text: 'overdue', style: 'red' } : { text: 'open', style: 'yellow' };
}
