import type { BreakGlassState } from '../../protocol/messages.ts';
import type { Line } from '../io.ts';
import { tableLines } from '../table.ts';
import { bothTimes } from '../times.ts';

export function breakGlassTable(states: readonly BreakGlassState[], now: number): Line[] {
  const when = (at: string | null) => (at === null ? '-' : bothTimes(at, now));
  return tableLines(states, [
    { header: 'RESOURCE', cell: ({ resource }) => ({ text: resource, style: 'bold' }) },
    {
      header: 'TAINTED SINCE',
      cell: ({ taintedAt }) => (taintedAt === null ? '-' : { text: when(taintedAt), style: 'red' }),
    },
    { header: 'EPOCH', cell: ({ epoch }) => String(epoch) },
    { header: 'ROTATED', cell: ({ rotatedAt }) => when(rotatedAt) },
    { header: 'OPEN REVIEWS', cell: ({ reviews }) => reviews.join(' ') || '-' },
  ]);
}
