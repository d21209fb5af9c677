/** Where the journal lies. On the way of every command, so nothing is imported that is not there anyway. */
import { lstatSync } from 'node:fs';
import { join } from 'node:path';
import type { ClientPaths } from '../paths.ts';

export interface JournalFiles {
  readonly journal: string;
  readonly base: string;
  /** Held while the files are read and written: never while anybody waits for the network. */
  readonly lock: string;
  /** Held while it goes to the broker. */
  readonly uploadLock: string;
}

export function journalFiles({ breakGlassDir }: Pick<ClientPaths, 'breakGlassDir'>): JournalFiles {
  const within = (name: string) => join(breakGlassDir, name);
  return {
    journal: within('journal'),
    base: within('journal.head'),
    lock: within('journal.lock'),
    uploadLock: within('upload.lock'),
  };
}

/** Whether this device has ever written one. */
export function hasJournal(paths: Pick<ClientPaths, 'breakGlassDir'>): boolean {
  const { journal, base } = journalFiles(paths);
  return [journal, base].some((path) => lstatSync(path, { throwIfNoEntry: false }) !== undefined);
}
