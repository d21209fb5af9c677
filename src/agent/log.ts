/**
 * What the agent has done, one JSON object a line, in a file that does not grow: at its bound it becomes `….1`, and what lay
 * there goes. No secret is written: entries name grants, targets, codes and the broker's own words.
 */
import { appendFileSync, renameSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { ensureDir } from '../client/files.ts';
import { formatInstant } from '../protocol/time.ts';

const MOST_BYTES = 256 * 1024;

export interface AgentLog {
  /** Never throws: a full disk must not end the agent. */
  write(event: string, more?: Readonly<Record<string, string | number | null | undefined>>): void;
}

/** `also` gets every line too: the terminal or the journal of an agent in the foreground. */
export function openLog(path: string, now: () => number, also: (line: string) => void = () => {}): AgentLog {
  // Made once: a folder that has been taken away is not to come back for a line that says so.
  let isOpen = false;
  const open = () => {
    if (!isOpen) ensureDir(dirname(path));
    isOpen = true;
  };
  return {
    write(event, more = {}) {
      const line = `${JSON.stringify({ at: formatInstant(now()), event, ...more })}\n`;
      also(line);
      try {
        open();
        const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
        if (size + line.length > MOST_BYTES) renameSync(path, `${path}.1`);
        appendFileSync(path, line, { mode: 0o600 });
      } catch {
        // What it would have said is lost.
      }
    },
  };
}
