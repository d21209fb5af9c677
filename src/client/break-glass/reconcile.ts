/**
 * Telling the broker what was done while it was away, before this device asks it for anything else: the journal goes up in pages, from
 * where the broker says that it has it, so that one that was interrupted goes on. What the broker has for good is let go of here.
 */
import { createHash } from 'node:crypto';
import { type JournalHead, parseEntry } from '../../break-glass/journal-entry.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import type { JournalReply } from '../../protocol/messages.ts';
import { withLock } from '../lock.ts';
import type { ClientPaths } from '../paths.ts';
import { settleBase } from './journal.ts';
import { journalFiles } from './journal-place.ts';
import { peekJournal } from './peek.ts';

const LINES_PER_PAGE = 200;
/** What a broker takes as the body of a request, and some room. */
const BYTES_PER_PAGE = 48 * 1024;
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
  const heads = new Map(unreported.map((line) => [parseEntry(line).seq, hashOf(line)]));
  let known: JournalReply | undefined;
  try {
    const before = await input.get();
    requireOurs(before, heads);
    known = before;
    const rest = unreported.filter((line) => parseEntry(line).seq > before.seq);
    for (const page of pagesOf(rest)) {
      const reply = await input.post(page);
      requireOurs(reply, heads);
      known = reply;
    }
  } catch (error) {
    if (!isAppError(error) || !REFUSALS.includes(error.code)) throw error;
    input.warn(`the broker does not take the journal of this device: ${error.message}`);
    await settle(input, { broken: error.message });
  } finally {
    if (known !== undefined && heads.has(known.seq))
      await settle(input, { acknowledged: { seq: known.seq, hash: known.hash }, broken: known.broken });
  }
  if (known?.broken) input.warn(`the broker finds the journal of this device broken: ${known.broken}`);
}

/** What the broker says about the journal itself, as opposed to not having been reached. */
const REFUSALS: readonly string[] = [
  ...['audit_invalid', 'log_inconsistent', 'conflict', 'denied', 'forbidden', 'not_found', 'invalid_request'],
];

/** Throws AppError `log_inconsistent` where the broker has another entry under a number of ours. */
function requireOurs({ seq, hash }: JournalHead, heads: ReadonlyMap<number, string>): void {
  const ours = heads.get(seq);
  if (ours === undefined || ours === hash) return;
  throw new AppError('log_inconsistent', `entry ${seq} of its journal is another one at the broker`);
}

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
    if (page === undefined || page.length === LINES_PER_PAGE || bytes > BYTES_PER_PAGE) {
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
