// `oncall` under a real pseudo-terminal, made by `script` of bsdutils, which every Debian has.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import { requirePart } from './parts.ts';
import { type CliOptions, cleanEnvironment, type Ended, ONCALL, startProcess } from './process.ts';
import { descendantsOf } from './process-tree.ts';
import { tempDir } from './temp.ts';

/** When the screen shows `when` (after what the step before it waited for), these bytes are typed, or this signal is sent. */
export type Keystroke =
  | {
      when: string | RegExp;
      /** What to type: '\r' is Enter, '\x03' Ctrl-C, '\x1b[A' the arrow up. */
      type: string;
    }
  | {
      when: string | RegExp;
      /** To `oncall` alone, not to what it has started. */
      signal: NodeJS.Signals;
    };

export interface TtyOptions extends Omit<CliOptions, 'input'> {
  keys?: readonly Keystroke[];
  columns?: number;
  rows?: number;
}

export interface TtyResult {
  /** The exit code; 128 + the signal's number when a signal ended it. */
  code: number | null;
  /** All that was written to the terminal, as it came. */
  raw: string;
  /** The same without escape sequences and carriage returns. */
  text: string;
  /** The terminal is as it was found: its settings, and the cursor shown. */
  restored: boolean;
}

/** Runs `oncall` on a terminal to its end, typing as told. */
export async function runCliTty(args: readonly string[], options: TtyOptions = {}): Promise<TtyResult> {
  return await runTty([process.execPath, ONCALL, ...args], options);
}

/** Runs any command on a terminal to its end, typing as told. */
export async function runTty(command: readonly string[], options: TtyOptions = {}): Promise<TtyResult> {
  requirePart('pty');
  const { keys = [], columns = 120, rows = 40, timeoutMs = 60_000 } = options;
  const kept = join(tempDir(), 'kept');
  const script = [
    `stty rows ${rows} cols ${columns}`,
    'before=$(stty -g)',
    // Ctrl-C goes to all that is in the foreground; the shell lives on, to see what the command leaves behind.
    'trap : INT QUIT',
    command.map(quoteForShell).join(' '),
    'code=$?',
    `[ "$(stty -g)" = "$before" ] && : > ${quoteForShell(kept)}`,
    'exit $code',
  ].join('\n');
  const child = startProcess('script', ['-q', '-e', '-f', '-c', script, '/dev/null'], {
    env: { ...cleanEnvironment(options.home), SHELL: '/bin/sh', ...options.env },
    cwd: options.cwd ?? inject('runFolder'),
  });
  const timer = setTimeout(() => void child.stop(), timeoutMs);
  let ended: Ended;
  try {
    let from = 0;
    for (const step of keys) {
      from = await child.waitForOutput(step.when, { from, timeoutMs });
      if ('type' in step) child.write(step.type);
      else process.kill(oncallBelow(child.pid), step.signal);
    }
    ended = await child.ended;
  } finally {
    clearTimeout(timer);
    await child.stop();
  }
  const raw = child.output();
  const restored = existsSync(kept) && raw.lastIndexOf('\x1b[?25h') >= raw.lastIndexOf('\x1b[?25l');
  return { code: ended.code, raw, text: stripTerminal(raw), restored };
}

/** The process that runs `oncall` below the terminal's own. */
function oncallBelow(pid: number): number {
  const found = descendantsOf(pid).find(
    (member) => readFileSync(`/proc/${member}/cmdline`, 'utf8').split('\0')[1] === ONCALL,
  );
  if (found === undefined) throw new Error('no oncall runs on this terminal');
  return found;
}

function stripTerminal(text: string): string {
  return text.replace(/\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|\r/g, '');
}

function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
