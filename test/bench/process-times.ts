// Wall-clock times of whole processes, from their start to their end.
import { spawnSync } from 'node:child_process';

export type Environment = Readonly<Record<string, string | undefined>>;

export interface TimedCommand {
  readonly name: string;
  /** Arguments of node. */
  readonly args: (round: number) => readonly string[];
  readonly env: Environment;
  /** Not timed. */
  readonly after?: (() => void) | undefined;
}

/** Runs node to its end, with pipes as a script would. Throws, with what it wrote, unless it ends with 0. */
export function runNode(args: readonly string[], env: Environment): { stdout: string; ms: number } {
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args], {
    env: { ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    encoding: 'utf8',
  });
  const ms = performance.now() - started;
  if (status !== 0) throw new Error(`node ${args.join(' ')} ended with ${status}:\n${stdout}${stderr}`);
  return { stdout, ms };
}

/**
 * Milliseconds of each command in each round, by name. The commands of a round follow each other, so that whatever else the
 * machine does hits them all alike: compare within rounds. The first round warms the file cache and does not count.
 */
export function timeInterleaved(commands: readonly TimedCommand[], rounds: number): Map<string, number[]> {
  const times = new Map(commands.map(({ name }): [string, number[]] => [name, []]));
  for (let round = 0; round <= rounds; round += 1) {
    for (const { name, args, env, after } of commands) {
      const { ms } = runNode(args(round), env);
      if (round > 0) times.get(name)?.push(ms);
      after?.();
    }
  }
  return times;
}

/** The developer's environment less what is ours and what slows every start by itself; no agent, unless it is asked for. */
export function plainEnvironment(more: Environment = {}): Environment {
  const { NODE_EXTRA_CA_CERTS: _certificates, NODE_OPTIONS: _options, ...rest } = process.env;
  const kept = Object.entries(rest).filter(([name]) => !name.startsWith('ONCALL_'));
  return { ...Object.fromEntries(kept), ONCALL_AGENT: 'off', ...more };
}
