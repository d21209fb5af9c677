import { eveningCatalogue } from './evening.ts';

/** The evening's catalogue with who is on call read from a calendar (`env: CALENDAR`), whose events are called by people's ids. */
export function fromCalendar(more = ''): string {
  return eveningCatalogue(more)
    .replace(
      /timeZone: Europe\/Berlin\n {4}rotations:\n(.*\n){2}/,
      'from: [{ source: calendar, level: 1 }]\n',
    )
    .replace('ids: { pagerduty: PANA }', 'ids: { pagerduty: PANA, calendar: ana }')
    .replace('ben: { name: Ben Osei,', 'ben: { name: Ben Osei, ids: { calendar: ben, pagerduty: PBEN },')
    .replace('\nsources:', '\nsources:\n  calendar: { type: ical, feed: { env: CALENDAR } }');
}
