/**
 * Logins that the broker has not heard of yet, on the disk: one a line, the oldest first. For so many as there is no room for,
 * the oldest are kept and the others counted, and the count is told. What is torn at the end is what a crash left; its
 * login is read from the log once more, for the position in the log is written after the line.
 */
import { closeSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { writeFailure } from '../client/files.ts';
import type { LoginRecord } from '../protocol/messages.ts';

export interface Spool {
  readonly waiting: number;
  /** Puts them on the disk, and answers how many there was no room for. Throws AppError `disk_full`: then none is kept. */
  add(logins: readonly LoginRecord[]): number;
  /** The oldest. */
  first(most: number): LoginRecord[];
  /** These oldest are done with. */
  drop(count: number): void;
  close(): void;
}

const MOST_WAITING = 20_000;

export function openSpool(folder: string, mostWaiting = MOST_WAITING): Spool {
  const path = join(folder, 'spool.ndjson');
  const file = openSync(path, 'a+', 0o600);
  const text = readFileSync(path, 'utf8');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  let waiting = whole.split('\n').flatMap(parseLine);
  let bytes = Buffer.byteLength(whole);
  ftruncateSync(file, bytes);
  return {
    get waiting() {
      return waiting.length;
    },
    add(logins) {
      const kept = logins.slice(0, Math.max(0, mostWaiting - waiting.length));
      if (kept.length > 0) {
        const added = Buffer.from(kept.map((login) => `${JSON.stringify(login)}\n`).join(''));
        try {
          writeSync(file, added);
          fsyncSync(file);
        } catch (error) {
          ftruncateSync(file, bytes);
          throw writeFailure(error, path);
        }
        bytes += added.length;
        waiting.push(...kept);
      }
      return logins.length - kept.length;
    },
    first: (most) => waiting.slice(0, most),
    drop(count) {
      waiting = waiting.slice(count);
      // While there are more, what is done with stays in the file: told again after a crash, it is known.
      if (waiting.length > 0) return;
      ftruncateSync(file, 0);
      bytes = 0;
    },
    close: () => closeSync(file),
  };
}

/** Whatever a broken disk made of a line stays behind: the others are worth more. */
function parseLine(line: string): LoginRecord[] {
  try {
    return [JSON.parse(line) as LoginRecord];
  } catch {
    return [];
  }
}
