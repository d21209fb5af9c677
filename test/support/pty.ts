// `oncall` under a real pseudo-terminal, made by `script` of bsdutils, which every Debian has.
import { inject } from 'vitest';
import { requirePart } from './parts.ts';
import { type CliOptions, cleanEnvironment, type Ended, ONCALL, startProcess } from './process.ts';

/** When the screen shows `when` (after what the step before it waited for), these bytes are typed. */
export interface Keystroke {
  when: string | RegExp;
  /** What to type: '\r' is Enter, '\x03' Ctrl-C, '\x1b[A' the arrow up. */
  type: string;
}

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
}

/** Runs `oncall` on a terminal to its end, typing as told. */
export async function runCliTty(args: readonly string[], options: TtyOptions = {}): Promise<TtyResult> {
  return await runTty([process.execPath, ONCALL, ...args], options);
}

/** Runs any command on a terminal to its end, typing as told. */
export async function runTty(command: readonly string[], options: TtyOptions = {}): Promise<TtyResult> {
  requirePart('pty');
  const { keys = [], columns = 120, rows = 40, timeoutMs = 60_000 } = options;
  const line = `stty rows ${rows} cols ${columns}; exec ${command.map(quoteForShell).join(' ')}`;
  const child = startProcess('script', ['-q', '-e', '-f', '-c', line, '/dev/null'], {
    env: { ...cleanEnvironment(options.home), SHELL: '/bin/sh', ...options.env },
    cwd: options.cwd ?? inject('runFolder'),
  });
  const timer = setTimeout(() => void child.stop(), timeoutMs);
  let ended: Ended;
  try {
    let from = 0;
    for (const { when, type } of keys) {
      from = await child.waitForOutput(when, { from, timeoutMs });
      child.write(type);
    }
    ended = await child.ended;
  } finally {
    clearTimeout(timer);
    await child.stop();
  }
  return { code: ended.code, raw: child.output(), text: stripTerminal(child.output()) };
}

function stripTerminal(text: string): string {
  return text.replace(/\x1b\[[0-9;?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|\r/g, '');
}

function quoteForShell(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
