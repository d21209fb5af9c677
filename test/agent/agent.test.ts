// From a request to the end of access, with nobody doing anything in between: a command starts an agent, which renews at the real
// broker, hears of the revocation and wipes what it kept.
import { existsSync, readdirSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { type AgentWorld, startAgentWorld } from './agent-world.ts';

describe.skipIf(!part('postgres'))('an agent', () => {
  let world: AgentWorld;

  beforeAll(async () => {
    world = await startAgentWorld({ credential: '5s' });
  });

  const sleepAndAsk = ['--', 'sh', '-c', 'sleep 7; exec psql -XAtc "select 42"'];

  it.skipIf(!part('psql'))('is not needed by run, which renews by itself where there is none', async () => {
    const { ana } = world;
    const ran = await ana.run(['run', 'db-replica', '-i', 'P1-1', '--no-agent', ...sleepAndAsk]);
    expect(ran).toMatchObject({ code: 0, stdout: '42\n' });
    expect(ana.log()).toEqual([]);
    expect((await ana.run('release db-replica --no-agent')).code).toBe(0);
  });

  it('is started by the first command that holds something, and renews it', async () => {
    const { ana } = world;
    expect(ana.pids()).toEqual([]);
    const grant = await ana.request();
    await ana.logged('renewed', { grant: grant.id });
    expect(ana.pids()).toHaveLength(1);
  });

  it.skipIf(!part('psql'))('that dies under run is made up for, and succeeded', async () => {
    const { ana } = world;
    const running = ana.run(['run', 'db-replica', ...sleepAndAsk]);
    await ana.kill();
    expect(await running).toMatchObject({ code: 0, stdout: '42\n' });
    await waitFor(() => ana.pids().length === 1, { what: 'the next agent' });
  });

  it('wipes what is revoked at the broker', async () => {
    const { ana, dora } = world;
    const [id] = readdirSync(ana.path('run/grants'));
    await dora.post('/v1/revoke', { grants: [id], reason: 'over' });
    await waitFor(() => readdirSync(ana.path('run/grants')).length === 0, { what: 'the wipe' });
    expect(existsSync(ana.path('run/pgpass'))).toBe(false);
    expect(readdirSync(ana.path('state/credentials'))).toEqual([]);
    await ana.logged('wiped', { grant: id });
  });
});
