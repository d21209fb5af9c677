/**
 * What sshd wrote to the journal since last time. Who wrote an entry is what the kernel told the journal (`_UID`, `_PID`): anybody may
 * call himself sshd there, and only root's entries are read.
 */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { AppError } from '../protocol/errors.ts';
import type { SshdMessage } from './sshd-log.ts';

export interface JournalPart {
  messages: SshdMessage[];
  /** Of the last entry; what was given where there was none. */
  cursor: string | null;
}

const MOST_ENTRIES = 5000;
const PATIENCE_MS = 30_000;
const QUERY = ['_UID=0', 'SYSLOG_IDENTIFIER=sshd', '+', '_UID=0', 'SYSLOG_IDENTIFIER=sshd-session'];

/** Without a cursor: since the machine was started, for there may be sessions open. Throws AppError `source_failed`. */
export async function readJournal(cursor: string | null): Promise<JournalPart> {
  const from = cursor === null ? ['--boot'] : [`--after-cursor=${cursor}`];
  const child = spawn('journalctl', ['--output=json', '--no-pager', '--quiet', '--all', ...from, ...QUERY], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(0, 500);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve(code));
  });
  // Reported below.
  ended.catch(() => {});
  const timer = setTimeout(() => child.kill('SIGKILL'), PATIENCE_MS);
  const part: JournalPart = { messages: [], cursor };
  let isCut = false;
  try {
    let count = 0;
    for await (const line of createInterface({ input: child.stdout })) {
      const { message, at } = parseEntry(line);
      if (at === undefined) continue;
      if (message !== undefined) part.messages.push(message);
      part.cursor = at;
      count += 1;
      // The rest comes next time.
      if (count >= MOST_ENTRIES) {
        isCut = true;
        child.kill('SIGKILL');
        break;
      }
    }
    const code = await ended;
    if (code !== 0 && !isCut) throw new Error(said || `journalctl ended with ${code}`);
    return part;
  } catch (cause) {
    throw new AppError('source_failed', 'the journal cannot be read', { hint: 'journalctl -n 1', cause });
  } finally {
    clearTimeout(timer);
  }
}

function parseEntry(line: string): { message?: SshdMessage; at?: string } {
  let entry: Record<string, unknown>;
  try {
    entry = JSON.parse(line) as Record<string, unknown>;
  } catch {
    return {};
  }
  const { MESSAGE, _PID, __REALTIME_TIMESTAMP, __CURSOR } = entry;
  if (typeof __CURSOR !== 'string' || typeof __REALTIME_TIMESTAMP !== 'string') return {};
  // What is not text comes as numbers: no login that we know of.
  if (typeof MESSAGE !== 'string' || typeof _PID !== 'string') return { at: __CURSOR };
  const atMs = Math.floor(Number(__REALTIME_TIMESTAMP) / 1000);
  return { at: __CURSOR, message: { pid: Number(_PID), atMs, text: MESSAGE } };
}
