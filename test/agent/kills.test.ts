// An agent that is killed at any moment of a renewal leaves a machine on which the next command works, and which an agent after it
// goes on from. Every point is its own device of the same person: they share the grant, and nothing else.
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { part } from '../support/parts.ts';
import { tempDir, waitFor } from '../support/temp.ts';
import { enrol, machine, startAgentWorld } from './agent-world.ts';

const POINTS = [
  'before listen',
  'after listen',
  // The agent's first look at the broker writes this too.
  'before status.json',
  // Nothing has been asked for.
  'before credentials',
  // The broker may have renewed, and nobody knows.
  'after credentials',
  // It has, and nothing is written.
  'answered credentials',
  // Its proof is kept, the credential is not.
  'after checkpoint',
  'before credentials/gr_',
  // Sealed, and not where tools look.
  'after credentials/gr_',
];

const QUERY = ['run', 'db-replica', '--', 'psql', '-XAtc', 'select count(*) from orders'];

describe.skipIf(!part('postgres') || !part('psql'))('an agent that is killed', () => {
  it('at any point of a renewal is made up for by the next command, and by the agent after it', async () => {
    const world = await startAgentWorld({ credential: '5s' });
    const preload = resolve('test/agent/kill-at.cjs');

    async function die(point: string): Promise<void> {
      const killed = { NODE_OPTIONS: `--require=${preload}`, KILL_AT: point };
      const ana = machine(tempDir());
      await enrol(world, ana);
      await ana.run('request db-replica -i P1-1', { env: killed });
      await waitFor(() => existsLog(ana.log()) && ana.pids().length === 0, {
        what: `death ${point}`,
        timeoutMs: 30_000,
      });
      const ran = await ana.run(QUERY);
      expect({ point, code: ran.code, stdout: ran.stdout, stderr: ran.stderr }).toEqual({
        ...{ point, code: 0, stdout: '42\n', stderr: '' },
      });
      // Another one keeps it from here on, through more than one life.
      const seen = ana.log().length;
      await ana.logged('renewed', {}, { after: seen });
      expect((await ana.run(QUERY)).stdout).toBe('42\n');
      await ana.kill();
    }

    for (let at = 0; at < POINTS.length; at += 3) await Promise.all(POINTS.slice(at, at + 3).map(die));
    // One login a device, and none that nobody knows of.
    const alive = (await world.target.roles()).length;
    expect(alive).toBeLessThanOrEqual(POINTS.length + 1);
  }, 240_000);
});

function existsLog(lines: readonly { event: string }[]): boolean {
  return lines.some(({ event }) => event === 'started');
}
