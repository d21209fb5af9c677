import type { IncidentView } from '../../protocol/messages.ts';
import type { Line } from '../io.ts';
import { tableLines } from '../table.ts';
import { bothTimes } from '../times.ts';

export function incidentTable(incidents: readonly IncidentView[], now: number): Line[] {
  return tableLines(incidents, [
    { header: 'INCIDENT', cell: ({ id }) => ({ text: id, style: 'bold' }) },
    { header: 'STATE', cell: ({ state }) => ({ text: state, style: state === 'open' ? 'red' : 'dim' }) },
    { header: 'PRIORITY', cell: ({ priority }) => priority },
    { header: 'SERVICE', cell: ({ service }) => service },
    { header: 'STARTED', cell: ({ startedAt }) => bothTimes(startedAt, now) },
    { header: 'DECLARED BY', cell: ({ declaredBy }) => declaredBy || '-' },
    { header: 'TITLE', cell: ({ title }) => title || '-' },
  ]);
}

export function incidentLine(incident: IncidentView, now: number): Line {
  const { id, state, priority, service, resolvedAt, startedAt, title } = incident;
  const when = bothTimes(resolvedAt ?? startedAt, now);
  return [
    { text: state === 'open' ? 'open' : 'resolved', style: state === 'open' ? 'red' : 'green' },
    ' ',
    { text: id, style: 'bold' },
    ` ${priority} ${service} since ${when}${title === '' ? '' : `: ${title}`}`,
  ];
}
