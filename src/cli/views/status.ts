import type { StatusBreakGlass, StatusFile, StatusGrant, StatusPending } from '../../client/status-file.ts';
import { formatTarget } from '../../protocol/names.ts';
import type { Line, Piece } from '../io.ts';
import { tableLines } from '../table.ts';
import { bothTimes, localTime, localWords, relativeTime } from '../times.ts';
import { BREAK_GLASS } from './break-glass-words.ts';
import { endOf, viaPiece } from './grants.ts';
import { waitingWords } from './waiting.ts';

/** What is held, what is pending, what is burning; the age of the knowledge last, because it colours all the rest. */
export function statusLines(
  status: Omit<StatusFile, 'schema'> & { readonly unreachableSince?: string | null },
  now: number,
): Line[] {
  const { grants, pending, incidents, shifts, approvalsWaiting, notices } = status;
  const { revocationsUnheardSince: unheard, unreachableSince = null } = status;
  return [
    ...openGlassLines(status.breakGlass, now),
    ...(unheard === null ? [] : [unheardLine(unheard, now)]),
    ...grants.flatMap((grant) => glassLines(grant, now)),
    ...(grants.length === 0 ? [`${status.user} holds no access`] : grantLines(grants, now)),
    ...grants.flatMap((grant) => graceLines(grant, now)),
    ...grants.flatMap((grant) => troubleLines(grant, now)),
    ...pending.flatMap((one) => pendingLines(one, now)),
    ...incidents.map(
      ({ id, priority, service, title }): Line => [
        { text: 'open', style: 'red' },
        ` ${id} ${priority} ${service}${title === '' ? '' : `: ${title}`}`,
      ],
    ),
    ...shifts.map(({ schedule, level, endsAt }): Line => {
      const end = endsAt === null ? '' : ` until ${bothTimes(endsAt, now)}`;
      return `on call for ${schedule}, level ${level}${end}`;
    }),
    ...(approvalsWaiting > 0 ? [`${approvalsWaiting} to answer: oncall approvals`] : []),
    ...status.reviews.map((review) => reviewLine(review, status.user, now)),
    ...status.warnings.map(
      (text): Line => [{ text: 'warning', style: 'yellow' }, ` ${localWords(text, now)}`],
    ),
    ...packLines(status.breakGlass, now),
    ...notices.map(
      ({ at, text }): Line => [
        { text: 'note', style: 'cyan' },
        ` ${localWords(text, now)} ${relativeTime(Date.parse(at), now)}`,
      ],
    ),
    ...(unreachableSince === null ? [] : [unreachableLine(unreachableSince, now)]),
    { text: `as of ${relativeTime(Date.parse(status.brokerContactAt), now)}`, style: 'dim' },
  ];
}

/** First of all, and red: nobody forgets that it is open. */
function openGlassLines({ open, unreported, broken }: StatusBreakGlass, now: number): Line[] {
  const banners = open.map(({ target, expiresAt, reason, pack, slot, drill }): Line => {
    const words = `${drill ? 'DRILL: ' : ''}BREAK-GLASS OPEN`;
    return [
      { text: words, style: 'red' },
      ' ',
      { text: formatTarget(target), style: 'bold' },
      ` until ${bothTimes(expiresAt, now)}: ${reason}  ${pack} slot ${slot}`,
    ];
  });
  const waiting = `${unreported} ${unreported === 1 ? 'entry' : 'entries'} of the break-glass journal`;
  return [
    ...banners,
    ...(broken === null
      ? []
      : [[{ text: 'journal', style: 'red' }, ` broken at the broker: ${broken}`] as Line]),
    ...(unreported === 0
      ? []
      : [[{ text: 'journal', style: 'yellow' }, ` ${waiting} to go to the broker`] as Line]),
  ];
}

function packLines({ packs }: StatusBreakGlass, now: number): Line[] {
  const lasting = packs.filter(({ endsAt }) => Date.parse(endsAt) > now);
  return lasting.map(({ target, issuedAt, startsAt, endsAt }): Line => {
    const age = relativeTime(Date.parse(issuedAt), now);
    const covers =
      Date.parse(startsAt) > now ? `from ${bothTimes(startsAt, now)}` : `until ${bothTimes(endsAt, now)}`;
    return `break-glass ready for ${formatTarget(target)}: pack of ${age}, covers ${covers}`;
  });
}

function grantLines(grants: readonly StatusGrant[], now: number): Line[] {
  return tableLines(grants, [
    { header: 'TARGET', cell: ({ target }) => ({ text: formatTarget(target), style: 'bold' }) },
    { header: 'VIA', cell: ({ via, rule }) => viaPiece(via, rule) },
    { header: 'ENDS', cell: (grant) => bothTimes(endOf(grant), now) },
    { header: 'CREDENTIAL', cell: (grant) => credentialPiece(grant, now) },
    { header: 'INCIDENTS', cell: ({ incidents }) => incidents.join(' ') || '-' },
    { header: 'GRANT', cell: ({ id }) => id },
  ]);
}

/** First of all: it is not to be forgotten open. */
function glassLines({ target, via, endsAt }: StatusGrant, now: number): Line[] {
  if (via !== 'break-glass') return [];
  const name = formatTarget(target);
  const end = relativeTime(Date.parse(endsAt), now);
  return [[{ text: BREAK_GLASS, style: 'red' }, ` ${name} ends ${end}; oncall release ${name} ends it now`]];
}

/** The table says when; this says why. */
function graceLines({ target, graceEndsAt, graceCause }: StatusGrant, now: number): Line[] {
  if (graceEndsAt === null) return [];
  const when = relativeTime(Date.parse(graceEndsAt), now);
  const cause = graceCause === null ? '' : `: ${graceCause}`;
  return [[{ text: 'ending', style: 'yellow' }, ` ${formatTarget(target)} ends ${when}${cause}`]];
}

/** What this device could not do for it by itself. */
function troubleLines(
  { target, renewal, extension, credentialExpiresAt, endsAt }: StatusGrant,
  now: number,
): Line[] {
  const name = formatTarget(target);
  const lines: Line[] = [];
  if (renewal !== null) {
    const left = credentialExpiresAt === null ? Number.NaN : Date.parse(credentialExpiresAt);
    const until = left > now ? `; what is here ends ${relativeTime(left, now)}` : '';
    const words = renewal.state === 'refused' ? 'not renewed' : 'not renewed yet';
    lines.push([
      { text: words, style: renewal.state === 'refused' ? 'red' : 'yellow' },
      ` ${name}: ${localWords(renewal.because, now)}${until}`,
    ]);
  }
  if (extension !== null) {
    const ends = relativeTime(Date.parse(endsAt), now);
    const asked = `; approvers are asked, oncall cancel ${extension.requestId} takes that back`;
    const more = extension.state === 'asked' ? asked : `; oncall request ${name} asks anew`;
    lines.push([
      { text: 'ends', style: 'yellow' },
      ` ${name} ${ends}: ${localWords(extension.because, now)}${more}`,
    ]);
  }
  return lines;
}

function pendingLines({ id, bundle, targets, expiresAt, waiting }: StatusPending, now: number): Line[] {
  const names = bundle ?? targets.map(formatTarget).join(' ');
  return [
    [{ text: 'pending', style: 'yellow' }, ` ${names} until ${bothTimes(expiresAt, now)}  ${id}`],
    ...waiting.map((one): Line => `  waits on ${waitingWords(one, now)}`),
  ];
}

function reviewLine(
  { id, user, dueAt, overdue }: StatusFile['reviews'][number],
  me: string,
  now: number,
): Line {
  const due = overdue ? 'overdue since' : 'due';
  const about = user === me ? 'of what you opened' : `of ${user} is yours to close`;
  return [
    { text: 'review', style: overdue ? 'red' : 'yellow' },
    ` ${about}, ${due} ${bothTimes(dueAt, now)}: oncall reviews  ${id}`,
  ];
}

function unreachableLine(since: string, now: number): Line {
  return [{ text: 'broker:', style: 'red' }, ` unreachable since ${localTime(Date.parse(since), now)}`];
}

function unheardLine(since: string, now: number): Line {
  return [{ text: `revocations not heard since ${localTime(Date.parse(since), now)}`, style: 'red' }];
}

function credentialPiece({ state, target, credentialExpiresAt }: StatusGrant, now: number): Piece {
  if (state === 'ready') return { text: `ready: oncall run ${formatTarget(target)} -- …`, style: 'green' };
  if (credentialExpiresAt === null) return 'none here';
  const expiresMs = Date.parse(credentialExpiresAt);
  if (expiresMs <= now) return { text: 'expired', style: 'yellow' };
  return { text: `ends ${relativeTime(expiresMs, now)}`, style: 'green' };
}
