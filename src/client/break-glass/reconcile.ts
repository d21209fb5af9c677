/**
 * Telling the broker what was done while it was away, before this device asks it for anything else: the journal goes up in pages, from
 * where the broker says that it has it, so that one that was interrupted goes on. What the broker has for good is let go of here.
 */
import { createHash } from 'node:crypto';
import {
  type JournalHead,
  MAX_PAGE_BYTES,
  MAX_PAGE_LINES,
  parseEntry,
} from '../../break-glass/journal-entry.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import type { JournalReply } from '../../protocol/messages.ts';
import { withLock } from '../lock.ts';
import type { ClientPaths } from '../paths.ts';
import { settleBase } from './journal.ts';
import { journalFiles } from './journal-place.ts';
import { peekJournal } from './peek.ts';

const [UPLOAD_PATIENCE_MS, LOCK_MS] = [20_000, 10_000];

export interface ReconcileInput {
  readonly paths: ClientPaths;
  readonly device: string;
  readonly now: () => number;
  readonly warn: (message: string) => void;
  readonly get: () => Promise<JournalReply>;
  readonly post: (lines: readonly string[]) => Promise<JournalReply>;
}

/**
 * Sends what the broker has not got. Resolves when it has all of it, or has said that it does not take it: then it is the broker that
 * decides what this device still gets. Throws what the calls throw where the broker could not be asked.
 */
export async function reconcile(input: ReconcileInput): Promise<void> {
  const { paths, device, now } = input;
  // Whoever else sends it is waited for: nothing of ours is to overtake it.
  await withLock(
    journalFiles(paths).uploadLock,
    async () => {
      const { unreported } = peekJournal(paths, device, now());
      if (unreported.length > 0) await send(input, unreported);
    },
    { timeoutMs: UPLOAD_PATIENCE_MS },
  );
}

async function send(input: ReconcileInput, unreported: readonly string[]): Promise<void> {
  const hashes = new Map(unreported.map((line) => [parseEntry(line).seq, hashOf(line)]));
  const isOurs = ({ seq, hash }: JournalHead) => hashes.get(seq) === hash;
  let known: JournalReply | undefined;
  try {
    known = await input.get();
    // Where the broker is at another entry than any of ours, it gets all of it: what does not follow is for it to record.
    const from = isOurs(known) ? known.seq : 0;
    for (const page of pagesOf(unreported.filter((line) => parseEntry(line).seq > from)))
      known = await input.post(page);
    if (!isOurs(known)) throw notOurs(known);
    if (known.broken !== null) input.warn(`the broker finds this device's journal broken: ${known.broken}`);
  } catch (error) {
    if (!isAppError(error) || !REFUSALS.includes(error.code)) throw error;
    input.warn(`the broker does not take this device's journal: ${error.message}`);
    await settle(input, { broken: known?.broken ?? error.message });
  } finally {
    if (known !== undefined && isOurs(known)) {
      const { seq, hash, broken } = known;
      await settle(input, { acknowledged: { seq, hash }, broken });
    }
  }
}

function notOurs({ seq, broken }: JournalReply): AppError {
  return new AppError('conflict', broken ?? `it is at entry ${seq}, which is none of this device's`, {
    hint: 'tell who reviews break-glass: oncall reviews list shows them what came',
  });
}

/** What the broker says about the journal itself, as opposed to not having been reached. */
const REFUSALS: readonly string[] = [
  ...['audit_invalid', 'log_inconsistent', 'conflict', 'denied', 'forbidden', 'not_found', 'invalid_request'],
];

async function settle(input: ReconcileInput, change: Parameters<typeof settleBase>[2]): Promise<void> {
  const { paths, device, now } = input;
  await withLock(
    journalFiles(paths).lock,
    () => settleBase(paths, peekJournal(paths, device, now()), change, now()),
    { timeoutMs: LOCK_MS },
  );
}

function pagesOf(lines: readonly string[]): string[][] {
  const pages: string[][] = [];
  let bytes = 0;
  for (const line of lines) {
    const page = pages.at(-1);
    bytes += Buffer.byteLength(line);
    if (page === undefined || page.length === MAX_PAGE_LINES || bytes > MAX_PAGE_BYTES) {
      pages.push([line]);
      bytes = Buffer.byteLength(line);
    } else {
      page.push(line);
    }
  }
  return pages;
}

function hashOf(line: string): string {
  return createHash('sha256').update(line).digest('base64url');
}
