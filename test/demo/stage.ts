// What every act stands on: a folder of its own, the command line as people type it, words for the audience, and what must be
// ended, also when the demo fails or is interrupted.
import { type ChildProcess, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import chalk from 'chalk';

export const ONCALL = resolve('bin/oncall');
/** Who types on the broker's host. */
export const OPERATOR = 'operator';

export interface Outcome {
  code: number;
  output: string;
}

/** A program that goes on in the background. */
export interface Background {
  /** Waits for what it is expected to write next. */
  sees(text: string): Promise<void>;
  /** Ends it on the spot. */
  kill(): Promise<void>;
}

export interface OncallOptions {
  quiet?: boolean;
  codes?: readonly number[];
  /** With the person's background agent, which has to be told to end. */
  agent?: boolean;
}

const PATIENCE_MS = 20_000;
const LOOK_MS = 20;

const endings: (() => unknown)[] = [];
let folder = '';

/** Below /tmp, where the account that PostgreSQL runs under may go. */
export function openStage(): string {
  folder = mkdtempSync(join(process.getuid?.() === 0 ? '/tmp' : tmpdir(), `oncall-demo-${process.pid}-`));
  atEnd(() => rmSync(folder, { recursive: true, force: true }));
  chmodSync(folder, 0o711);
  return folder;
}

/** Ended last first. */
export function atEnd(ending: () => unknown): void {
  endings.push(ending);
}

export async function endAll(): Promise<void> {
  for (const ending of endings.splice(0).reverse()) await ending();
}

export const homeOf = (person: string) => join(folder, 'home', person);

/** Runs `oncall` to its end and shows it, unless it is quiet. Throws for a code that was not expected. */
export async function oncall(
  person: string,
  args: readonly string[],
  { quiet = false, codes = [0], agent = false }: OncallOptions = {},
): Promise<Outcome> {
  if (!quiet) show(args, person);
  const child = start(person, args, agent);
  const [output, problems] = [collect(child.stdout), collect(child.stderr)];
  const code = await new Promise<number>((done) => child.once('close', (status) => done(status ?? 1)));
  if (!quiet) process.stdout.write(indent(output() + problems()));
  if (!codes.includes(code))
    throw new Error(`oncall ${args.join(' ')} ended with ${code}:\n${output()}${problems()}`);
  return { code, output: output() };
}

/** What `--json` prints, unseen by the audience. */
export async function ask<T>(person: string, args: readonly string[]): Promise<T> {
  return JSON.parse((await oncall(person, [...args, '--json'], { quiet: true })).output) as T;
}

/** Starts `oncall` and leaves it running until the end. */
export function background(person: string, args: readonly string[]): Background {
  const child = start(person, args);
  const [output, problems] = [collect(child.stdout), collect(child.stderr)];
  const gone = new Promise<void>((done) => child.once('exit', () => done()));
  atEnd(async () => {
    child.kill('SIGTERM');
    await gone;
  });
  let seen = 0;
  return {
    async kill() {
      child.kill('SIGKILL');
      await gone;
    },
    sees: (text) =>
      until(`'${text}' from oncall ${args.join(' ')}`, () => {
        if (child.exitCode !== null) throw new Error(`it ended:\n${output()}${problems()}`);
        const at = output().indexOf(text, seen);
        if (at >= 0) seen = at + text.length;
        return at >= 0;
      }),
  };
}

export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  patienceMs = PATIENCE_MS,
): Promise<void> {
  for (const started = Date.now(); !(await isSo()); await delay(LOOK_MS)) {
    if (Date.now() - started > patienceMs) throw new Error(`waited in vain for ${what}`);
  }
}

function start(person: string, args: readonly string[], agent = false): ChildProcess {
  const { NODE_EXTRA_CA_CERTS: _roots, ONCALL_AGENT: _wish, ...env } = process.env;
  return spawn(process.execPath, [ONCALL, ...args], {
    env: {
      ...env,
      ONCALL_HOME: homeOf(person),
      // Nothing is left behind, not even for a minute.
      ...(!agent && { ONCALL_AGENT: 'off' }),
      ...(process.stdout.isTTY && { FORCE_COLOR: '1' }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function collect(stream: NodeJS.ReadableStream | null): () => string {
  let text = '';
  stream?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  return () => text;
}

export function say(text: string): void {
  process.stdout.write(`${chalk.bold(text)}\n`);
}

export function step(text: string): void {
  process.stdout.write(`\n${chalk.cyan('──')} ${chalk.bold(text)}\n`);
}

export function show(args: readonly string[], person = OPERATOR): void {
  const prompt = person === OPERATOR ? '$' : `${person} $`;
  const words = args.map((arg) =>
    /^[\w@%+=:,./…&-]+$/.test(arg) ? arg : arg.includes("'") ? `"${arg}"` : `'${arg}'`,
  );
  process.stdout.write(`   ${chalk.dim(prompt)} oncall ${words.join(' ').replaceAll(folder, '…')}\n`);
}

export function detail(text: string): void {
  process.stdout.write(`     ${text}\n`);
}

function indent(text: string): string {
  return text.replaceAll(folder, '…').replace(/^(?=.)/gm, '     ');
}
