/** Whom a name at a target leads back to, as people read it. */
import type { AuditWho, TraceView } from '../../protocol/messages.ts';
import type { Line, Piece } from '../io.ts';
import { propertyLines, tableLines } from '../table.ts';
import { bothTimes } from '../times.ts';

export function traceLines({ traces }: AuditWho, now: number): Line[] {
  return traces.flatMap((trace, index) => [...(index === 0 ? [] : ['']), ...oneTrace(trace, now)]);
}

function oneTrace(trace: TraceView, now: number): Line[] {
  const { target, incidents, approvals, rule, reason, contradiction } = trace;
  const opened = trace.openedAt === null ? 'unknown' : bothTimes(trace.openedAt, now);
  const ended =
    trace.endedAt === null
      ? 'still open'
      : `ended ${bothTimes(trace.endedAt, now)}: ${trace.endCause ?? 'unknown'}`;
  const doubt: [string, Piece][] =
    contradiction === null ? [] : [['but', { text: contradiction, style: 'red' }]];
  return [
    ...propertyLines([
      ['person', { text: trace.user, style: 'bold' }],
      ...doubt,
      ['recognised', trace.by === 'name' ? 'by its name' : 'by an id in it, which anybody may have written'],
      ['target', `${target.resource}:${target.role}`],
      ['grant', `${trace.grantId}, by ${trace.via}${rule === null ? '' : ` (${rule})`}`],
      ['open', `${opened}, ${ended}`],
      ['incident', incidents.join(', ') || '-'],
      ['request', trace.requestId || '-'],
      ['reason', reason ?? '-'],
      [
        'approved',
        approvals.map(({ approver, at }) => `${approver} ${bothTimes(at, now)}`).join(', ') || '-',
      ],
    ]),
    ...tableLines(trace.logins, [
      { header: 'LOGIN', cell: ({ handle }) => handle },
      { header: 'DEVICE', cell: ({ deviceId }) => deviceId || '-' },
      { header: 'FROM', cell: ({ issuedAt }) => bothTimes(issuedAt, now) },
      { header: 'PROVEN GONE', cell: ({ endedAt }) => (endedAt === null ? '-' : bothTimes(endedAt, now)) },
      { header: 'WHY', cell: ({ endCause }) => endCause ?? '-' },
    ]),
    ...trace.logins.flatMap(({ handle, seen }) =>
      seen.map(
        ({ host, account, address, at }): Line =>
          `seen ${handle} at ${host} as ${account}, from ${address}, ${bothTimes(at, now)}`,
      ),
    ),
  ];
}
