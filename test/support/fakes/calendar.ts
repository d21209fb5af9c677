/** A calendar behind a secret address, with an ETag that is honoured. */
import { createHash } from 'node:crypto';
import { Complaint, type FakeVendor, startFakeVendor } from './fake-vendor.ts';

export interface FakeCalendarShift {
  summary: string;
  startsAtMs: number;
  endsAtMs: number;
}

export interface FakeCalendar extends FakeVendor {
  /** What the secret holds: the address with the path nobody may see. */
  readonly address: string;
  setShifts(shifts: readonly FakeCalendarShift[]): void;
  setText(text: string): void;
}

export async function startCalendar({ path = '/private/s3cret-path/basic.ics' } = {}): Promise<FakeCalendar> {
  let text = calendarOf('');
  const vendor = await startFakeVendor((request) => {
    if (request.path !== path) return { status: 404, body: 'not found' };
    if (request.headers.accept !== 'text/calendar') throw new Complaint(406, 'accept is not a calendar');
    if (request.headers.authorization) throw new Complaint(400, 'credentials for a calendar');
    const etag = `"${createHash('sha256').update(text).digest('hex').slice(0, 16)}"`;
    if (request.headers['if-none-match'] === etag) return { status: 304, headers: { etag } };
    return { headers: { 'content-type': 'text/calendar; charset=utf-8', etag }, body: text };
  });
  const setText = (next: string) => {
    text = next;
  };
  return {
    ...vendor,
    address: vendor.url + path,
    setText,
    setShifts: (shifts) => setText(calendarOf(...shifts.map(shiftEvent))),
  };
}

/** A calendar of components, each given by its lines. */
export function calendarOf(...components: readonly string[]): string {
  const lines = [
    'BEGIN:VCALENDAR',
    'VERSION:2.0',
    'PRODID:-//oncall//test//EN',
    ...components,
    'END:VCALENDAR',
  ];
  return `${lines.join('\n').replace(/\n+/g, '\r\n')}\r\n`;
}

export function eventOf(...lines: readonly string[]): string {
  return ['BEGIN:VEVENT', 'UID:one', 'DTSTAMP:20260101T000000Z', ...lines, 'END:VEVENT'].join('\n');
}

function shiftEvent({ summary, startsAtMs, endsAtMs }: FakeCalendarShift): string {
  return eventOf(`DTSTART:${utc(startsAtMs)}`, `DTEND:${utc(endsAtMs)}`, `SUMMARY:${summary}`);
}

function utc(ms: number): string {
  return `${new Date(ms).toISOString().replace(/[-:]|\.\d{3}/g, '')}`;
}
