import type { ReviewedUse, ReviewView } from '../../protocol/messages.ts';
import type { Line, Piece } from '../io.ts';
import { tableLines } from '../table.ts';
import { bothTimes, localWords } from '../times.ts';

export function reviewTable(reviews: readonly ReviewView[], now: number): Line[] {
  return tableLines(reviews, [
    { header: 'REVIEW', cell: ({ id }) => id },
    { header: 'STATE', cell: statePiece },
    { header: 'ABOUT', cell: ({ user }) => ({ text: user, style: 'bold' }) },
    { header: 'KIND', cell: ({ kind }) => kind },
    { header: 'OPENED', cell: ({ openedAt }) => bothTimes(openedAt, now) },
    { header: 'DUE', cell: ({ dueAt }) => bothTimes(dueAt, now) },
    { header: 'OWNERS', cell: ({ owners }) => owners.join(' ') || '-' },
    { header: 'WHAT', cell: whatText },
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

/** Everything about one, a line for each thing. */
export function reviewLines(review: ReviewView, now: number): Line[] {
  const { id, kind, user, use, journal, owners, openedAt, dueAt, note, closedBy, closedAt } = review;
  const facts: readonly (readonly [string, string | null])[] = [
    ...(use === null ? [['what', whatText(review)] as const] : factsOf(use, now)),
    ['why', journal?.why ?? null],
    ['owners', owners.join(' ') || '-'],
    ['opened', bothTimes(openedAt, now)],
    ['due', closedAt === null ? bothTimes(dueAt, now) : null],
    ['closed', closedAt === null ? null : `by ${closedBy ?? '-'} at ${bothTimes(closedAt, now)}`],
    ['note', note],
  ];
  const shown = facts.filter((fact): fact is readonly [string, string] => fact[1] !== null);
  const width = Math.max(...shown.map(([name]) => name.length));
  return [
    [{ text: id, style: 'bold' }, '  ', statePiece(review), `  ${kind} of ${user}`],
    ...shown.map(([name, value]): Line => [{ text: `  ${name.padEnd(width)}  `, style: 'dim' }, value]),
  ];
}

function factsOf(use: ReviewedUse, now: number): (readonly [string, string | null])[] {
  return [
    ['what', `${use.resource}:${use.role}${use.drill ? ', as a drill' : ''}`],
    ['reason', use.reason],
    ['incident', use.incident],
    ['used at', `${bothTimes(use.openedAt, now)} by the clock of the device`],
    ['known since', bothTimes(use.reconciledAt, now)],
    ['tools', use.tools.join(' ') || 'none'],
    ['pack', `${use.pack}, slot ${use.slot}`],
    ['device', `${use.device}, entry ${use.seq} of its journal`],
    ...use.notes.map((note) => ['to know', localWords(note, now)] as const),
  ];
}

function whatText({ requestId, grantId, use, journal }: ReviewView): string {
  // An older broker has neither.
  if (use) return `${use.resource}:${use.role}${use.drill ? ' (drill)' : ''}: ${use.reason}`;
  if (journal) return `the journal of ${journal.device}`;
  return requestId ?? grantId ?? '-';
}

function statePiece({ state, overdue, outcome }: ReviewView): Piece {
  if (state === 'closed') return { text: `closed${outcome === null ? '' : `: ${outcome}`}`, style: 'green' };
  return overdue ? { text: 'overdue', style: 'red' } : { text: 'open', style: 'yellow' };
}
