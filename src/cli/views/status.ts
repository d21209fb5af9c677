import type { StatusFile, StatusGrant } from '../../client/status-file.ts';
import { formatTarget } from '../../protocol/names.ts';
import type { Line, Piece } from '../io.ts';
import { tableLines } from '../table.ts';
import { bothTimes, relativeTime } from '../times.ts';

/** What is held, what is pending, what is burning; the age of the knowledge last, because it colours all the rest. */
export function statusLines(status: Omit<StatusFile, 'schema'>, now: number): Line[] {
  const { grants, pending, incidents, shifts, approvalsWaiting, notices } = status;
  return [
    ...(grants.length === 0 ? [`${status.user} holds no access`] : grantLines(grants, now)),
    ...pending.map(
      ({ id, targets, expiresAt }): Line => [
        { text: 'pending', style: 'yellow' },
        ` ${targets.map(formatTarget).join(' ')} until ${bothTimes(expiresAt, now)}  ${id}`,
      ],
    ),
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
    ...notices.map(
      ({ at, text }): Line => [
        { text: 'note', style: 'cyan' },
        ` ${text} ${relativeTime(Date.parse(at), now)}`,
      ],
    ),
    { text: `as of ${relativeTime(Date.parse(status.brokerContactAt), now)}`, style: 'dim' },
  ];
}

function grantLines(grants: readonly StatusGrant[], now: number): Line[] {
  return tableLines(grants, [
    { header: 'TARGET', cell: ({ target }) => ({ text: formatTarget(target), style: 'bold' }) },
    { header: 'ENDS', cell: ({ endsAt }) => bothTimes(endsAt, now) },
    { header: 'CREDENTIAL', cell: (grant) => credentialPiece(grant, now) },
    { header: 'INCIDENTS', cell: ({ incidents }) => incidents.join(' ') || '-' },
    { header: 'GRANT', cell: ({ id }) => id },
  ]);
}

function credentialPiece({ credentialExpiresAt }: StatusGrant, now: number): Piece {
  if (credentialExpiresAt === null) return 'none here';
  const expiresMs = Date.parse(credentialExpiresAt);
  if (expiresMs <= now) return { text: 'expired', style: 'yellow' };
  return { text: `ends ${relativeTime(expiresMs, now)}`, style: 'green' };
}
