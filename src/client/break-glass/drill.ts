/** A drill's login: the tool that people use, by what was opened, and how it went in the journal. */
import { spawn } from 'node:child_process';
import type { TargetKind } from '../../protocol/target-kinds.ts';
import type { Client } from '../client.ts';
import type { HeldCredential } from '../credentials.ts';
import { commandFor, environmentFor } from '../session-files.ts';
import type { Command } from '../targets/client-target.ts';
import { clientTarget } from '../targets/kinds.ts';
import { withJournal } from './journal.ts';
import type { Opened } from './open.ts';
import { requireGlassKeys } from './owner.ts';

export interface DrillLogin {
  readonly passed: boolean;
  readonly tool: string;
  /** What the tool said last, where it failed; may hold anything. */
  readonly because: string;
}

const LONGEST_MS = 20_000;
const MOST_WORDS = 500;
/** What each client does at once and asks nothing for. */
const HARMLESS: Partial<Record<TargetKind, (tool: Command) => Command>> = {
  ssh: ([ssh, ...where]) => [ssh, '-o', 'BatchMode=yes', ...where, 'true'],
  postgres: ([psql]) => [psql, '-wXAtc', 'select 1'],
  kubernetes: ([kubectl]) => [kubectl, 'auth', 'whoami'],
  x509: (tool) => tool,
};

/** The harmless command; undefined for a kind of target that no drill knows how to log in to. */
export function drillCommand({ publicPart }: HeldCredential): Command | undefined {
  return HARMLESS[publicPart.kind]?.(clientTarget(publicPart.kind).tool(publicPart));
}

/** Runs it. Never throws for a tool that is missing, fails or hangs: that is what a drill is to find out. */
export function logIn(
  { context }: Client,
  credential: HeldCredential,
  command: Command,
  signal: AbortSignal,
): Promise<DrillLogin> {
  const [program, ...args] = commandFor(context.paths, [credential], command);
  const env = { ...context.env, ...environmentFor(context.paths, [credential]) };
  const [tool] = command;
  return new Promise((resolve) => {
    const until = AbortSignal.any([signal, AbortSignal.timeout(LONGEST_MS)]);
    const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'], signal: until });
    let said = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(-MOST_WORDS);
    });
    child.once('error', (error) => resolve({ passed: false, tool, because: error.message }));
    child.once('close', (code) =>
      resolve({
        passed: code === 0,
        tool,
        because: code === 0 ? '' : said.trim() || `it ended with ${code}`,
      }),
    );
  });
}

/** Throws what writing the journal throws. */
export async function noteLogin(
  client: Client,
  { use }: Opened,
  { passed, tool }: DrillLogin,
  tookMs: number,
): Promise<void> {
  const { owner } = await requireGlassKeys(client);
  const { pack, slot } = use;
  await withJournal(owner, (journal) =>
    journal.append(() => [{ type: 'login', pack, slot, tool, passed, tookMs: Math.round(tookMs) }]),
  );
}
