/** Processes as Linux shows them (proc(5)). A process is known by its number together with when it began: numbers come again. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, in which the kernel tells user space, is 100 whatever it counts in itself. */
const TICK_MS = 10;

export interface ProcessMark {
  readonly pid: number;
  /** In clock ticks since the machine was started. */
  readonly startTicks: string;
}

interface Seen extends ProcessMark {
  readonly parent: number;
  readonly name: string;
}

/** Undefined where there is none. */
export function lookAt(pid: number): Seen | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name stands in brackets and may hold any character, brackets too.
    const [open, close] = [text.indexOf('('), text.lastIndexOf(')')];
    const fields = text.slice(close + 2).split(' ');
    const [state = '', parent = ''] = fields;
    if (state === 'Z' || state === 'X') return undefined;
    const name = text.slice(open + 1, close);
    return { pid, name, parent: Number(parent), startTicks: fields[19] ?? '' };
  } catch {
    return undefined;
  }
}

export function isSame(mark: ProcessMark): boolean {
  return lookAt(mark.pid)?.startTicks === mark.startTicks;
}

/** The process and all that came from it and still hang on it, parents first. Empty where it is gone. */
export function treeOf(root: ProcessMark): Seen[] {
  const all = readdirSync('/proc').flatMap((name) =>
    /^\d+$/.test(name) ? (lookAt(Number(name)) ?? []) : [],
  );
  const tree = all.filter(({ pid, startTicks }) => pid === root.pid && startTicks === root.startTicks);
  for (const { pid } of tree) tree.push(...all.filter(({ parent }) => parent === pid));
  return tree;
}

/** By this machine's clock, in milliseconds since 1970, to the second. */
export function startOf({ startTicks }: ProcessMark): number {
  const startedAt = /^btime (\d+)$/m.exec(readFileSync('/proc/stat', 'latin1'))?.[1] ?? '0';
  return Number(startedAt) * 1000 + Number(startTicks) * TICK_MS;
}

/** Which start of the machine this is: process numbers of another mean nothing. */
export function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
}

/** Fine where it is gone. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended by itself.
  }
}
