/**
 * The journal on this device's disk, two files. `journal` has a line for each entry that is still needed; `journal.head` says where
 * it begins: the newest entry that the broker has acknowledged, which is kept for ever, and what the entries that were let go of have
 * left. A line counts when it has been synced, its end included: what a crash leaves of one is cut off, and was nobody's yet.
 *
 * Whoever owns this device can delete, cut or roll back these files. Nothing here finds that; the broker does, when the journal
 * comes and does not follow what it has, and the target's own record of logins does.
 */
import { closeSync, fsync, ftruncateSync, lstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { promisify } from 'node:util';
import { emptyHead, type JournalHead } from '../../break-glass/journal-entry.ts';
import { AppError } from '../../protocol/errors.ts';
import { ensureDir, hasModes, readSafeFile, writeFailure } from '../files.ts';
import type { ClientPaths } from '../paths.ts';
import { writeFileAtomic } from '../write-files.ts';
import { journalFiles } from './journal-place.ts';
import type { SlotUse } from './slot-uses.ts';

const VERSION = 1;
/** A hundred thousand entries: nobody breaks that much glass. */
const MAX_JOURNAL_BYTES = 64 * 1024 * 1024;
const sync = promisify(fsync);

export interface JournalBase {
  readonly device: string;
  /** The newest entry that the broker has for good. */
  readonly acknowledged: JournalHead;
  /** The newest time in any entry that there was. */
  readonly newestAt: string | null;
  /** Up to this entry, openings have been told to the webhook of their pack. */
  readonly told: number;
  /** Of entries up to `acknowledged`. */
  readonly uses: readonly SlotUse[];
  /** What the broker says is wrong with this journal. */
  readonly broken: string | null;
}

export function hasBase(paths: Pick<ClientPaths, 'breakGlassDir'>): boolean {
  return lstatSync(journalFiles(paths).base, { throwIfNoEntry: false }) !== undefined;
}

/** Of this device; another's, from before an enrolment, is moved aside. Throws AppError `corrupt_file`, `unsafe_file`. */
export function readBase(paths: ClientPaths, device: string): JournalBase {
  const { journal, base: path } = journalFiles(paths);
  const text = readSafeFile(path, { secret: true })?.toString('utf8');
  const base = text === undefined ? undefined : parseBase(text, path);
  if (base?.device === device) return base;
  if (base !== undefined) setAside([journal, path], base.device);
  const acknowledged = emptyHead(device);
  return { device, acknowledged, newestAt: null, told: 0, uses: [], broken: null };
}

export async function writeBase(paths: ClientPaths, base: JournalBase): Promise<void> {
  await writeFileAtomic(journalFiles(paths).base, `${JSON.stringify({ version: VERSION, ...base })}\n`);
}

function parseBase(text: string, path: string): JournalBase {
  try {
    const { version, ...base } = JSON.parse(text) as JournalBase & { version: number };
    if (version === VERSION && typeof base.device === 'string' && Array.isArray(base.uses)) return base;
  } catch {
    // Said below.
  }
  throw damaged(path);
}

function setAside(files: readonly string[], device: string): void {
  for (const path of files)
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined)
      renameSync(path, `${path}-of-${device.replace(/[^A-Za-z0-9_]/g, '_')}`);
}

/** The bytes of all whole lines, without what a crash left behind the last. */
export function readWholeLines(paths: ClientPaths): string[] {
  const { journal } = journalFiles(paths);
  const bytes = readSafeFile(journal, { secret: true, maxBytes: MAX_JOURNAL_BYTES });
  if (bytes === undefined) return [];
  return bytes.toString('utf8').split('\n').slice(0, -1);
}

/**
 * Puts lines behind the `wholeBytes` that count, and has them on the disk when it resolves. Throws AppError `disk_full`,
 * `unsafe_file`: then none of them counts.
 */
export async function appendLines(
  paths: ClientPaths,
  lines: readonly string[],
  wholeBytes: number,
): Promise<void> {
  const { breakGlassDir } = paths;
  const { journal } = journalFiles(paths);
  ensureDir(breakGlassDir);
  let file: number | undefined;
  try {
    file = openSync(journal, 'a', 0o600);
    ftruncateSync(file, wholeBytes);
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''));
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
    await sync(file);
    // Its name as well: a journal that a crash takes away whole is none.
    if (hasModes) await syncFolder(breakGlassDir);
  } catch (error) {
    if (file !== undefined) cutBack(file, wholeBytes);
    throw writeFailure(error, journal);
  } finally {
    if (file !== undefined) closeSync(file);
  }
}

/** The entries that are still needed, in place of all. */
export async function replaceLines(paths: ClientPaths, lines: readonly string[]): Promise<void> {
  await writeFileAtomic(journalFiles(paths).journal, lines.map((line) => `${line}\n`).join(''));
}

export function damaged(path: string): AppError {
  return new AppError(
    'corrupt_file',
    `${path} is damaged: nothing is opened that could not be accounted for`,
    {
      hint: 'restore it, or move it away and tell your security team: the broker will miss what it said',
    },
  );
}

function cutBack(file: number, bytes: number): void {
  try {
    ftruncateSync(file, bytes);
  } catch {
    // Half a line: whoever reads next cuts it off.
  }
}

async function syncFolder(path: string): Promise<void> {
  const folder = openSync(path, 'r');
  try {
    await sync(folder);
  } finally {
    closeSync(folder);
  }
}
