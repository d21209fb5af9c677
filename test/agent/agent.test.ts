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
    world = await startAgentWorld({ credential: '10s' });
  });

  it('is started by the first command that holds something, and renews it', async () => {
    const { ana } = world;
    expect(ana.pids()).toEqual([]);
    const grant = await ana.request();
    await ana.logged('renewed', { grant: grant.id });
    expect(ana.pids()).toHaveLength(1);
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
