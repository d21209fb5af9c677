/** What outlives a restart beside the spool: how far each log was read, which sessions are open, what was lost and not told yet. */
import { join } from 'node:path';
import { readSafeFile } from '../client/files.ts';
import { writeFiles } from '../client/write-files.ts';
import type { Authenticated } from './postgres-log.ts';
import type { Session } from './sessions.ts';
import type { Place } from './tail.ts';

export interface Memory {
  journal: string | null;
  sshLog: Place | null;
  postgresLog: Place | null;
  authenticated: Authenticated;
  /** Of this start of the machine. */
  boot: string;
  sessions: readonly Session[];
  lost: number;
}

/** Written again and again, for `oncall host status`. */
export interface Told {
  /** Instants; null for what has not happened. */
  startedAt: string;
  reportedAt: string | null;
  listAt: string | null;
  list: number | null;
  waiting: number;
  lost: number;
  sessions: number;
  /** What does not work now, in words, by what was tried. */
  failing: Record<string, string>;
}

const EMPTY: Omit<Memory, 'boot'> = {
  ...{ journal: null, sshLog: null, postgresLog: null },
  ...{ authenticated: {}, sessions: [], lost: 0 },
};

/** Sessions of an earlier start of the machine are gone. One that cannot be read is begun anew: what is read again is known. */
export function readMemory(folder: string, boot: string): Memory {
  const known = parse(readSafeFile(memoryFile(folder))) as Memory | undefined;
  if (known === undefined) return { ...EMPTY, authenticated: {}, boot };
  return { ...EMPTY, ...known, boot, sessions: known.boot === boot ? known.sessions : [] };
}

export async function writeMemory(folder: string, memory: Memory): Promise<void> {
  await writeFiles([{ path: memoryFile(folder), data: JSON.stringify(memory) }]);
}

export function readTold(folder: string): Told | undefined {
  return parse(readSafeFile(toldFile(folder))) as Told | undefined;
}

export async function writeTold(folder: string, told: Told): Promise<void> {
  await writeFiles([{ path: toldFile(folder), data: JSON.stringify(told), isCopy: true }]);
}

function memoryFile(folder: string): string {
  return join(folder, 'memory.json');
}

function toldFile(folder: string): string {
  return join(folder, 'status.json');
}

function parse(bytes: Buffer | undefined): unknown {
  try {
    return bytes && JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
