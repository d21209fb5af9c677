// The monitor's view: every endpoint by itself, a real decision, the audit log.
import { createServer } from 'node:net';
import { beforeAll, describe, expect, it } from 'vitest';
import type { ProbeResult } from '../../src/client/probe.ts';
import { atEnd } from '../support/at-end.ts';
import { freePort } from '../support/temp.ts';
import { createWorld, PEOPLE, sshResource, succeeded, type World } from './world.ts';

const HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4';

describe('oncall probe', () => {
  let world: World;
  let hung: string;

  const probe = async (args = '') => {
    const result = await world.as('ana', `probe --json${args}`);
    const { ok, checks } = result.json() as { ok: boolean; checks: ProbeResult[] };
    return { code: result.code, ok, checks };
  };
  const statesOf = (checks: readonly ProbeResult[], endpoint: string | null) =>
    Object.fromEntries(
      checks.filter((one) => one.endpoint === endpoint).map((one) => [one.check, one.state]),
    );

  beforeAll(async () => {
    world = await createWorld(
      `${PEOPLE}resources:${sshResource({ host: '127.0.0.1', port: 22 }, 'ops', HOST_KEY)}`,
    );
    // Takes connections and says nothing.
    const server = createServer((socket) => {
      socket.on('error', () => {});
      atEnd(() => void socket.destroy());
    });
    const port = await new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
    );
    atEnd(() => void server.close());
    hung = `https://127.0.0.1:${port}/`;
    await world.serve();
    await world.enroll('ana');
  });

  it('finds a broker that does its work', async () => {
    const { code, ok, checks } = await probe(' db-host');
    expect({ code, ok }).toEqual({ code: 0, ok: true });
    const fine = { health: 'ok', readiness: 'ok', time: 'ok', certificate: 'ok' };
    expect(statesOf(checks, `${world.url}/`)).toEqual(fine);
    expect(statesOf(checks, null)).toEqual({ decision: 'ok', audit: 'ok' });
    const left = checks.find(({ check }) => check === 'certificate')?.value ?? 0;
    expect(left).toBeGreaterThan(300 * 86_400);
  });

  it('is read by Prometheus', async () => {
    const { stdout } = succeeded(await world.as('ana', 'probe --prometheus'));
    expect(stdout).toContain(`oncall_probe_success{check="readiness",endpoint="${world.url}/"} 1\n`);
    expect(stdout).toMatch(/^oncall_probe_audit_entries\{endpoint=""\} [1-9]/m);
    expect((await world.as('ana', 'probe --prometheus --json')).code).toBe(2);
  });

  it('names the endpoint that hangs and the one that is gone, and looks at the others all the same', async () => {
    const dead = `https://127.0.0.1:${await freePort()}/`;
    world.write(
      'broker.yaml',
      `${world.read('broker.yaml')}endpoints: ["${hung}", "${dead}", "${world.url}"]\n`,
    );
    await world.stop();
    await world.serve();
    succeeded(await world.as('ana', 'status --refresh'));
    const { code, ok, checks } = await probe(' --timeout 1s');
    expect({ code, ok }).toEqual({ code: 1, ok: false });
    const failed = { health: 'fail', readiness: 'fail', time: 'fail', certificate: 'fail' };
    expect(statesOf(checks, hung)).toEqual(failed);
    expect(statesOf(checks, dead)).toEqual(failed);
    expect(Object.values(statesOf(checks, `${world.url}/`))).toEqual(['ok', 'ok', 'ok', 'ok']);
    expect(statesOf(checks, null)).toEqual({ decision: 'ok', audit: 'ok' });
  });

  it('asks about a target that does not exist: the decision fails, and nothing else', async () => {
    const { checks } = await probe(' nowhere --timeout 1s');
    expect(statesOf(checks, null)).toEqual({ decision: 'fail', audit: 'ok' });
  });
});
