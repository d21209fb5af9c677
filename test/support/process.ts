// Child processes of tests: each is noted in the run's folder, and ended by pid, with all it started, at the end of the
// test file. A command line under test gets a clean environment, never the developer's.
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { inject } from 'vitest';
import { atEnd } from './at-end.ts';
import { checkOutputs } from './outputs.ts';
import { signalTree } from './process-tree.ts';
import { forgetProcess, noteProcess } from './run-folder.ts';
import { tempDir, waitFor } from './temp.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Ended {
  /** The exit code, null when a signal ended it. */
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface TestProcess {
  readonly pid: number;
  stdout(): string;
  stderr(): string;
  /** Both streams as they came. */
  output(): string;
  readonly running: boolean;
  write(text: string): void;
  endInput(): void;
  /** Resolves when it has ended and its streams are read. */
  readonly ended: Promise<Ended>;
  /** Signals this process alone. */
  kill(signal?: NodeJS.Signals): void;
  /** Freezes or wakes it with all it started. */
  pause(): void;
  resume(): void;
  /** Ends it with all it started, at once, and waits. */
  stop(): Promise<Ended>;
  /** Waits until the output, from `from` on (a position in `output()`), holds the text; gives the position after it. */
  waitForOutput(text: string | RegExp, options?: { timeoutMs?: number; from?: number }): Promise<number>;
}

export interface ProcessOptions {
  /** The whole environment; `cleanEnvironment()` if not given. */
  env?: Environment;
  cwd?: string;
  /** Written to stdin, which is then closed. Without it stdin stays open, for `write`. */
  input?: string | undefined;
}

/** Starts a program, tracked. A program that can't be started rejects `ended`. */
export function startProcess(
  command: string,
  args: readonly string[],
  options: ProcessOptions = {},
): TestProcess {
  const env = options.env ?? cleanEnvironment();
  const child = spawn(command, args, { env, ...(options.cwd && { cwd: options.cwd }), stdio: 'pipe' });
  const process = trackProcess(child, [command, ...args].join(' '));
  if (options.input !== undefined) child.stdin.end(options.input);
  return process;
}

function trackProcess(child: ChildProcessWithoutNullStreams, title: string): TestProcess {
  const folder = inject('runFolder');
  const pid = child.pid ?? 0;
  const text = { stdout: '', stderr: '', both: '' };
  let running = pid !== 0;
  for (const name of ['stdout', 'stderr'] as const)
    child[name].setEncoding('utf8').on('data', (chunk: string) => {
      text[name] += chunk;
      text.both += chunk;
    });
  // The process may end before it has read all of its input.
  child.stdin.on('error', () => {});
  if (pid !== 0) noteProcess(folder, pid);
  child.once('exit', () => {
    running = false;
    forgetProcess(folder, pid);
  });
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
  // Nobody needs to wait for it: whoever does sees the rejection.
  ended.catch(() => {});

  async function stop(): Promise<Ended> {
    if (running) signalTree(pid, 'SIGKILL');
    return await ended;
  }
  atEnd(() => stop().catch(() => {}));
  return {
    pid,
    stdout: () => text.stdout,
    stderr: () => text.stderr,
    output: () => text.both,
    get running() {
      return running;
    },
    write: (input) => void child.stdin.write(input),
    endInput: () => void child.stdin.end(),
    ended,
    kill: (signal = 'SIGTERM') => void child.kill(signal),
    pause: () => signalTree(pid, 'SIGSTOP'),
    resume: () => signalTree(pid, 'SIGCONT'),
    stop,
    async waitForOutput(wanted, { timeoutMs = 10_000, from = 0 } = {}) {
      const found = () => findText(text.both, wanted, from);
      try {
        await waitFor(() => found() !== undefined || !running, {
          what: `${wanted} from ${title}`,
          timeoutMs,
        });
        if (found() === undefined) await ended;
        if (found() === undefined) throw new Error(`${title} ended without ${wanted}`);
      } catch (error) {
        throw new Error(`${(error as Error).message}; its output:\n${text.both}`, { cause: error });
      }
      return found() ?? 0;
    },
  };
}

function findText(text: string, wanted: string | RegExp, from: number): number | undefined {
  const rest = text.slice(from);
  if (typeof wanted === 'string') {
    const at = rest.indexOf(wanted);
    return at < 0 ? undefined : from + at + wanted.length;
  }
  const match = wanted.exec(rest);
  return match ? from + match.index + match[0].length : undefined;
}

/** What a login would give and nothing of the developer's own; NODE_EXTRA_CA_CERTS alone costs 40 ms a start. */
export function cleanEnvironment(home = tempDir()): Record<string, string> {
  const path = [dirname(process.execPath), '/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin'].join(
    ':',
  );
  return {
    PATH: path,
    HOME: home,
    ONCALL_HOME: join(home, 'oncall'),
    TERM: 'xterm-256color',
    LANG: 'C.UTF-8',
    // Whoever tests the agent takes it away, and ends what was started (test/agent/agent-world.ts).
    ONCALL_AGENT: 'off',
  };
}

export const ONCALL = resolve('bin', 'oncall');

export interface CliOptions {
  /** Added to the clean environment; undefined takes a variable away. */
  env?: Environment | undefined;
  /** HOME, with ONCALL_HOME=$HOME/oncall; a fresh directory if not given. */
  home?: string | undefined;
  /** Stdin; empty if not given. Never a terminal: that is `runCliTty`. */
  input?: string | undefined;
  cwd?: string | undefined;
  timeoutMs?: number | undefined;
  /** What it passes on comes from a broker that lies: held to no schema. */
  isLiedTo?: boolean;
}

export interface CliResult extends Ended {
  stdout: string;
  stderr: string;
  /** Stdout as JSON; the error of one that is not shows both streams. */
  json(): unknown;
}

/** Starts `oncall` and leaves it running, for tests that signal or pause it. */
export function startCli(args: readonly string[], { env, home, input, cwd }: CliOptions = {}): TestProcess {
  if (!existsSync('dist/main.js')) throw new Error('dist/main.js is not built: run node build.mjs --test');
  return startProcess(process.execPath, [ONCALL, ...args], {
    env: { ...cleanEnvironment(home), ...env },
    input,
    ...(cwd && { cwd }),
  });
}

/** Runs `oncall` to its end, with streams that are no terminal. */
export async function runCli(args: readonly string[], options: CliOptions = {}): Promise<CliResult> {
  const child = startCli(args, { ...options, input: options.input ?? '' });
  const timer = setTimeout(() => void child.stop(), options.timeoutMs ?? 60_000);
  const ended = await child.ended.finally(() => clearTimeout(timer));
  const streams = { stdout: child.stdout(), stderr: child.stderr() };
  // Whoever asks for JSON gets what is published.
  if (!options.isLiedTo) for (const text of [streams.stdout, streams.stderr]) checkOutputs(text);
  return {
    ...ended,
    ...streams,
    json() {
      try {
        return JSON.parse(streams.stdout);
      } catch (cause) {
        throw new Error(`not JSON:\n${streams.stdout}\nstderr:\n${streams.stderr}`, { cause });
      }
    },
  };
}
