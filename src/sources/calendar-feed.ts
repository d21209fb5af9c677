/**
 * A calendar behind an address as a schedule. The address is the secret: who has it reads the calendar.
 *
 * An unchanged calendar has other shifts in tomorrow's span than in today's, so that each answer covers some days more than
 * was asked, and what it covers is kept beside the vendor's validators: they are sent only while it still does.
 */
import { createHash } from 'node:crypto';
import { runInNewContext } from 'node:vm';
import { AppError, isAppError } from '../protocol/errors.ts';
import type { SourceHttp } from './http.ts';
import { readCalendar } from './ical.ts';
import type { FeedSpan, OutsideShift, ShiftFeedReader, Validators } from './shift.ts';
import { sourceFailed, understand } from './source-failure.ts';
import { parseSourceUrl } from './vendor-api.ts';

const COVERED_BEYOND_MS = 2 * 86_400_000;
/** Ten thousand events take a fifth of it. */
const MAX_READING_MS = 2_000;

export interface CalendarFeedOptions {
  name: string;
  http: SourceHttp;
  /** The calendar's address, `webcal:` or `https:`. Asked for each time. */
  address: () => Promise<string>;
}

export function createCalendarShifts({ name, http, address }: CalendarFeedOptions): ShiftFeedReader {
  return {
    async fetchShifts(feed, span, validators, signal) {
      const url = parseSourceUrl(name, await address());
      const level = feed.level ?? 1;
      const about = digest([url.href, span.timeZone, level]);
      const answer = await http.get({
        url,
        headers: { accept: 'text/calendar' },
        signal,
        validators: covers(validators, about, span) ? validators : {},
      });
      if (answer.kind === 'unchanged') return { unchanged: true };
      if (answer.kind === 'absent')
        throw sourceFailed(name, 'has no calendar at its address', { status: 404 });
      const covered = { ...span, toMs: span.toMs + COVERED_BEYOND_MS };
      const shifts = understand(name, () => readInTime(decode(answer.body), covered, level));
      const { fromMs, toMs } = covered;
      return {
        unchanged: false,
        shifts,
        validators:
          Object.keys(answer.validators).length === 0
            ? {}
            : { ...answer.validators, about, fromMs: String(fromMs), toMs: String(toMs) },
      };
    },
  };
}

function covers(validators: Validators, about: string, { fromMs, toMs }: FeedSpan): boolean {
  return validators.about === about && Number(validators.fromMs) <= fromMs && Number(validators.toMs) >= toMs;
}

/** Says whether the question is the same one, without telling the address. */
function digest(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64url').slice(0, 22);
}

function decode(body: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new AppError('invalid_request', 'the calendar is not UTF-8');
  }
}

/**
 * A calendar is attacker-controlled, and a rule that never matches keeps ical.js looking for ever. A script's timeout is the
 * one thing that stops code of our own thread, whichever context it is of.
 */
function readInTime(text: string, span: FeedSpan, level: number): OutsideShift[] {
  let shifts: OutsideShift[] = [];
  try {
    const read = () => {
      shifts = readCalendar(text, span, level);
    };
    runInNewContext('read()', { read }, { timeout: MAX_READING_MS });
    return shifts;
  } catch (error) {
    if (isAppError(error)) throw error;
    // Of the other context: not an instance of our Error.
    const { code } = Object(error) as { code?: unknown };
    const late = code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';
    // ical.js' own errors quote the calendar.
    throw new AppError('invalid_request', `the calendar ${late ? 'takes too long to read' : 'is malformed'}`);
  }
}
