/** Sources as the catalogue has them, and readers of them, for the tests of each vendor. */
import { inspect } from 'node:util';
import type { Source, SourceSettings } from '../../src/catalogue/types.ts';
import type { HttpTiming } from '../../src/sources/http.ts';
import { createReaders, type Readers } from '../../src/sources/readers.ts';
import type { OutsideShift } from '../../src/sources/shift.ts';
import { atEnd } from '../support/at-end.ts';

export const HOUR = 3_600_000;
export const DAY = 24 * HOUR;
export const at = (text: string) => Date.parse(text);

/** Soon tired, so that a fault is over in a moment. */
export const IMPATIENT: HttpTiming = { attemptMs: 5_000, attempts: 2, backoffMs: 5, maxWaitMs: 2_000 };

export const SECRET = { env: 'SECRET' };

/** Readers of a source of these settings, whose every secret is `secret`. */
export function readersOf(settings: SourceSettings, secret: string, timing = IMPATIENT): Readers {
  const source: Source = {
    id: 'outside',
    settings,
    pollSeconds: 60,
    freshSeconds: 600,
    usableSeconds: 86_400,
    priorities: {},
    trusted: true,
  };
  const readers = createReaders(source, async () => secret, timing);
  atEnd(() => readers.close());
  return readers;
}

export interface AskOptions {
  id?: string;
  level?: number;
  fromMs?: number;
  toMs?: number;
  timeZone?: string;
  signal?: AbortSignal;
}

const SPAN = { fromMs: at('2026-06-01T00:00:00Z'), toMs: at('2026-06-15T00:00:00Z') };

/** What the readers say about a feed, as the system's first answer. */
export async function askShifts(
  { shifts }: Readers,
  {
    id = 'S1',
    level,
    timeZone = 'Europe/Berlin',
    signal = AbortSignal.timeout(20_000),
    ...span
  }: AskOptions = {},
): Promise<readonly OutsideShift[]> {
  const feed = { source: 'outside', id, level };
  const answer = await shifts!.fetchShifts(feed, { ...SPAN, ...span, timeZone }, {}, signal);
  if (answer.unchanged) throw new Error('unchanged, though nothing was known');
  return answer.shifts;
}

/** Closes it when the test file has ended. */
export async function untilEnd<T extends { close(): Promise<void> }>(started: Promise<T>): Promise<T> {
  const it = await started;
  atEnd(() => it.close());
  return it;
}

/** Everything that a log of this error could hold. */
export function allOf(error: unknown): string {
  return inspect(error, { depth: 20, showHidden: true, maxStringLength: null });
}

/** The error that this rejects with. */
export async function failureOf(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  return promise.then(
    (value) => Promise.reject(new Error(`resolved with ${JSON.stringify(value)}`)),
    (error) => error,
  );
}
