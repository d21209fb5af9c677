import { formatDuration } from '../../protocol/durations.ts';
import type { RequestView } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import type { Line } from '../io.ts';
import { bothTimes } from '../times.ts';
import { BREAK_GLASS } from './break-glass-words.ts';
import { requestLines } from './requests.ts';

/** What was opened, who hears of it and what follows; of what was not opened, all that is known. */
export function breakGlassLines(request: RequestView, now: number): Line[] {
  if (request.state !== 'granted') return requestLines(request, now);
  const { outcome, reason, durationSeconds, grants, id } = request;
  return [
    ...grants.map(
      ({ id: grantId, target, endsAt }): Line => [
        { text: BREAK_GLASS, style: 'red' },
        ' ',
        { text: formatTarget(target), style: 'bold' },
        ` until ${bothTimes(endsAt, now)}  ${grantId}`,
      ],
    ),
    `${outcome ?? 'by break-glass'}`,
    `for ${formatDuration(durationSeconds)}, never extended; a review of it is open: ${reason ?? '-'}  ${id}`,
  ];
}
