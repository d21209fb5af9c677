import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { grantFolder } from '../../src/client/session-paths.ts';
import type { GrantList, GrantView, RequestList, RequestView } from '../../src/protocol/messages.ts';
import { waitFor } from '../support/temp.ts';
import {
  ASK,
  HOUR,
  type KeeperWorld,
  MINUTE,
  NOT_ON_CALL,
  POLICY,
  startKeeperWorld,
} from './keeper-world.ts';

const LIFE = 4 * MINUTE;

async function resolveIncident(world: KeeperWorld): Promise<void> {
  await world.dora.post('/v1/incidents/P1-1/resolve');
}

async function forbidRenewing({ installation, broker }: KeeperWorld): Promise<void> {
  const forbid = '@id("no") forbid (principal, action == Action::"renew", resource);';
  installation.write('policies/starter.cedar', `${POLICY}${forbid}`);
  await broker.reload();
}

describe('renewal', () => {
  it('comes at half the life of each credential, with the old one in place until then', async () => {
    const world = await startKeeperWorld();
    const { id } = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await world.pass(LIFE * 0.45, keeper);
    expect(world.events('renewed')).toEqual([]);
    expect(world.isHeld(id)).toBe(true);
    await world.pass(LIFE * 0.1, keeper);
    expect(world.events('renewed')).toMatchObject([{ grant: id }]);
    await world.pass(5 * LIFE, keeper);
    expect(world.events('renewed').length).toBeGreaterThanOrEqual(10);
    expect(world.events('renewed').length).toBeLessThanOrEqual(12);
    await keeper.stop();
  });

  it('that is refused says why, lets the credential run out, and wipes it; the grant stands and says so', async () => {
    const world = await startKeeperWorld();
    const { id } = await world.hold();
    await forbidRenewing(world);
    const keeper = world.keep();
    await keeper.wake();
    await world.pass(LIFE * 0.6, keeper);
    expect(world.told).toHaveLength(1);
    expect(world.status(id)?.renewal).toMatchObject({ state: 'refused' });
    expect(world.isHeld(id)).toBe(true);
    expect(world.events('renewal.refused')).toHaveLength(1);
    await world.pass(LIFE * 0.5, keeper);
    expect(world.isHeld(id)).toBe(false);
    expect(world.status(id)).toMatchObject({ renewal: { state: 'refused' } });
    expect(world.events('renewal.refused')).toHaveLength(1);
    await keeper.stop();
  });

  it('that was refused is asked for again once something has happened', async () => {
    const world = await startKeeperWorld();
    const { id } = await world.hold();
    await forbidRenewing(world);
    const keeper = world.keep();
    await keeper.wake();
    await world.pass(LIFE * 0.6, keeper);
    expect(world.status(id)?.renewal).toMatchObject({ state: 'refused' });
    await world.logged('stream.open');
    // Who has just begun to hear asks once more.
    await world.pass(12_000, keeper);
    const isRefused = () => keeper.grants().every(({ renewsAt }) => renewsAt === null);
    await waitFor(isRefused, { what: 'the refusal' });
    world.installation.write('policies/starter.cedar', POLICY);
    await world.broker.reload();
    await world.dora.post('/v1/incidents', { id: 'P1-2', service: 'orders', priority: 'P1' });
    // Time that passes before the news has come could be all that the credential has left.
    await waitFor(() => !isRefused(), { what: 'the news' });
    await world.pass(11_000, keeper);
    await world.logged('renewed');
    expect(world.status(id)?.renewal).toBeNull();
    await keeper.stop();
  });

  it('is not done twice where a command has done it already', async () => {
    const world = await startKeeperWorld();
    const { id } = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await world.pass(LIFE * 0.4, keeper);
    const { ensureCredentials } = await import('../../src/client/hold.ts');
    const { result } = await world.dora.get<GrantList>('/v1/grants');
    expect(result.grants).toEqual([]);
    const [grant] = (await world.client.broker.get<GrantList>('/v1/grants')).grants;
    await ensureCredentials(world.client, [grant!], { renewAfter: 0 });
    await world.pass(LIFE * 0.4, keeper);
    expect(world.events('renewed')).toEqual([]);
    await world.pass(LIFE * 0.2, keeper);
    expect(world.events('renewed')).toMatchObject([{ grant: id }]);
    await keeper.stop();
  });
});

describe('the broker', () => {
  it('is asked for what shells complete, when the agent starts and once a day', async () => {
    const world = await startKeeperWorld();
    await world.hold();
    const keeper = world.keep({ graceMs: undefined });
    const file = join(world.context.paths.completeDir, 'roles');
    await keeper.wake();
    await waitFor(() => existsSync(file), { what: 'the names' });
    expect(readFileSync(file, 'utf8')).toContain('db-host:');
    rmSync(file);
    await world.sleep(25 * HOUR, keeper);
    await waitFor(() => existsSync(file), { what: 'the names of the next day' });
    await keeper.stop();
  });

  it('that is away for longer than a credential lives is back to a renewal, and nothing was thrown away', async () => {
    const world = await startKeeperWorld();
    const { id } = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await world.broker.stop();
    await world.pass(2 * LIFE, keeper);
    expect(world.isHeld(id)).toBe(true);
    expect(world.status(id)?.renewal).toMatchObject({ state: 'failing' });
    // 10 s to 5 min apart, and closer to the end of its life: not a storm.
    expect(world.events('renewal.failed').length).toBeLessThan(25);
    expect(world.events('renewal.failed').length).toBeGreaterThan(3);
    expect(world.told).toEqual([]);
    await world.serve();
    await waitFor(
      async () => {
        await world.pass(15_000, keeper);
        return world.events('renewed').length > 0;
      },
      { what: 'the renewal' },
    );
    expect(world.events('broker.back')).toHaveLength(1);
    expect(world.status(id)?.renewal).toBeNull();
    await keeper.stop();
  });

  it('that stays away until the window has ended leaves nothing here', async () => {
    const world = await startKeeperWorld();
    const { id } = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await world.broker.stop();
    await world.pass(2 * HOUR + MINUTE, keeper);
    expect(world.isHeld(id)).toBe(false);
    expect(world.status(id)).toBeUndefined();
    await keeper.ended;
    expect(world.events('idle')).toHaveLength(1);
  });

  it('ends the access of an incident that is over: nothing is left, and so is the agent', async () => {
    const world = await startKeeperWorld();
    const { id } = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await resolveIncident(world);
    world.at.now += 2_000;
    world.at.monotonic += 2_000;
    world.at.uptime += 2_000;
    await waitFor(
      async () => {
        await world.dora.post('/v1/revoke', { user: 'nobody', reason: 'wake up' });
        await keeper.wake();
        return !world.isHeld(id);
      },
      { what: 'the wipe' },
    );
    await world.pass(90_000, keeper);
    await keeper.ended;
  });
});

describe('time', () => {
  it('that was slept through is made up for: what has run out is renewed at once', async () => {
    const world = await startKeeperWorld();
    const { id } = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await world.sleep(30 * MINUTE, keeper);
    await world.logged('renewed');
    expect(world.events('clock.slept')).toMatchObject([{ bySeconds: 1800 }]);
    expect(world.isHeld(id)).toBe(true);
    await keeper.stop();
  });

  it.each([2 * HOUR, -2 * HOUR])(
    'that somebody sets by %i ms neither wipes nor renews anything early',
    async (byMs) => {
      const world = await startKeeperWorld();
      const { id } = await world.hold();
      // The broker's clock is not ours: it goes on as before.
      const brokerNow = world.at;
      const own = { ...brokerNow };
      const clocks = { now: () => own.now, monotonic: () => own.monotonic, uptime: () => own.uptime };
      const context = { ...world.context, now: () => own.now };
      const keeper = world.keep({ clocks, client: { ...world.client, context } });
      await keeper.wake();
      own.now += byMs;
      await keeper.wake();
      expect(world.events('clock.moved')).toMatchObject([{ bySeconds: byMs / 1000 }]);
      expect(world.events('renewed')).toEqual([]);
      expect(world.isHeld(id)).toBe(true);
      for (const one of [own, brokerNow]) {
        one.now += LIFE * 0.56;
        one.monotonic += LIFE * 0.56;
        one.uptime += LIFE * 0.56;
      }
      await keeper.wake();
      await world.logged('renewed');
      expect(world.isHeld(id)).toBe(true);
      const { grants } = await world.client.broker.get<GrantList>('/v1/grants');
      // The one that was in use while it was replaced is still good: it was named.
      expect(grants[0]?.credentials.filter(({ state }) => state === 'live').length).toBe(2);
      await keeper.stop();
    },
  );
});

describe('a window', () => {
  it('is made longer 20 minutes before its end, where policy allows that', async () => {
    const world = await startKeeperWorld(NOT_ON_CALL);
    const { id, endsAt } = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await world.sleep(2 * HOUR - 21 * MINUTE, keeper);
    expect(world.events('extended')).toEqual([]);
    await world.pass(2 * MINUTE, keeper);
    expect(world.events('extended')).toHaveLength(1);
    expect(Date.parse(world.status(id)?.endsAt ?? '')).toBe(Date.parse(endsAt) + 2 * HOUR);
    expect(world.told).toEqual([]);
    await keeper.stop();
  });

  it('that the broker itself makes longer is not made longer twice', async () => {
    const world = await startKeeperWorld();
    const { id, endsAt } = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await world.sleep(2 * HOUR - 20 * MINUTE, keeper);
    await world.dora.post('/v1/revoke', { user: 'nobody', reason: 'wake up' });
    await waitFor(
      async () => {
        await keeper.wake();
        return (world.status(id)?.endsAt ?? '') > endsAt;
      },
      { what: 'the longer window' },
    );
    await world.pass(2 * MINUTE, keeper);
    expect(world.events('extended')).toEqual([]);
    expect(Date.parse(world.status(id)?.endsAt ?? '')).toBe(Date.parse(endsAt) + 2 * HOUR);
    await keeper.stop();
  });

  async function untilAsked(world: KeeperWorld) {
    const keeper = world.keep();
    await keeper.wake();
    await world.sleep(2 * HOUR - 19 * MINUTE, keeper);
    await world.pass(MINUTE, keeper);
    const { result } = await world.carla.get<RequestList>('/v1/approvals');
    return { keeper, request: result.requests[0] };
  }

  it('that policy does not make longer is asked for, once, and is new when an approver says yes', async () => {
    // Whoever holds something would have to be asked for a new one.
    const policy = POLICY.replace('context.incident.known && context.incident.value.open };', '$&').replace(
      '@id("grant") permit (principal, action == Action::"grant", resource) when {',
      '@id("grant") permit (principal, action == Action::"grant", resource) when { !(context.request.hasReason) &&',
    );
    const world = await startKeeperWorld({ policy: policy + ASK });
    const { id, endsAt } = await world.hold();
    const { keeper, request } = await untilAsked(world);
    expect(request).toMatchObject({
      user: 'ana',
      incident: 'P1-1',
      targets: [{ target: { resource: 'db-host' } }],
    });
    expect(world.status(id)?.extension).toMatchObject({ state: 'asked', requestId: request!.id });
    expect(world.told).toMatchObject([{ text: expect.stringContaining(`oncall cancel ${request!.id}`) }]);
    await keeper.stop();
    // Another agent in its place knows what was asked.
    const next = await untilAskedAgain(world);
    await world.carla.post<RequestView>(`/v1/requests/${request!.id}/approve`, { digest: request!.digest });
    await waitFor(
      async () => {
        await next.wake();
        return (world.status(id)?.endsAt ?? '') > endsAt;
      },
      { what: 'the longer window' },
    );
    expect(world.status(id)?.extension).toBeNull();
    expect(world.isHeld(id)).toBe(true);
    await next.stop();
  });

  async function untilAskedAgain(world: KeeperWorld) {
    const keeper = world.keep();
    await keeper.wake();
    await world.pass(MINUTE, keeper);
    const { result } = await world.carla.get<RequestList>('/v1/approvals');
    expect(result.requests).toHaveLength(1);
    return keeper;
  }

  it('that an approver refuses ends when it ends, and its holder hears of that', async () => {
    const policy = POLICY.replace(
      '@id("grant") permit (principal, action == Action::"grant", resource) when {',
      '@id("grant") permit (principal, action == Action::"grant", resource) when { !(context.request.hasReason) &&',
    );
    const world = await startKeeperWorld({ policy: policy + ASK });
    const { id } = await world.hold();
    const { keeper, request } = await untilAsked(world);
    await world.carla.post(`/v1/requests/${request!.id}/deny`, { digest: request!.digest, reason: 'enough' });
    await waitFor(
      async () => {
        await keeper.wake();
        return world.status(id)?.extension?.state === 'refused';
      },
      { what: 'the refusal' },
    );
    expect(world.told).toHaveLength(2);
    await world.pass(20 * MINUTE, keeper);
    expect(world.isHeld(id)).toBe(false);
  });

  it('that nobody could make longer is said in time, and nobody is asked', async () => {
    const world = await startKeeperWorld({ policy: POLICY });
    const { id } = await world.hold();
    const { keeper, request } = await untilAsked(world);
    expect(request).toBeUndefined();
    expect(world.status(id)?.extension).toMatchObject({ state: 'refused', requestId: null });
    expect(world.told).toMatchObject([{ text: expect.stringContaining('oncall request db-host:operator') }]);
    await keeper.stop();
  });
});

describe('an agent with nothing to do', () => {
  it('ends after its grace, and not before', async () => {
    const world = await startKeeperWorld();
    const keeper = world.keep();
    await keeper.wake();
    await world.pass(45_000, keeper);
    expect(world.events('idle')).toEqual([]);
    await world.pass(30_000, keeper);
    await keeper.ended;
  });

  it('stays where it is to stay, and while somebody is served', async () => {
    const world = await startKeeperWorld();
    const staying = world.keep({ graceMs: undefined });
    await world.pass(10 * MINUTE, staying);
    const serving = world.keep({ isBusy: () => true });
    await world.pass(10 * MINUTE, serving);
    expect(world.events('idle')).toEqual([]);
    await Promise.all([staying.stop(), serving.stop()]);
  });
});

describe('the end of access', () => {
  it('is wiped as soon as it is heard, whoever ended it and whatever else lies here', async () => {
    const world = await startKeeperWorld();
    const { id } = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await world.logged('stream.open');
    await world.dora.post('/v1/revoke', { grants: [id], reason: 'over' });
    await waitFor(() => !world.isHeld(id), { what: 'the wipe' });
    expect(readdirSync(world.context.paths.credentialsDir)).toEqual([]);
    await waitFor(() => world.status(id) === undefined, { what: 'the status' });
    await keeper.stop();
  });

  it('of this very device is the end of all that lies here', async () => {
    const world = await startKeeperWorld();
    const { id } = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await world.logged('stream.open');
    await world.dora.post(`/v1/devices/${world.client.config.device.id}/revoke`);
    await waitFor(() => !world.isHeld(id), { what: 'the wipe' });
    await keeper.stop();
  });

  it('that a second terminal brought about is no trouble for the first', async () => {
    const world = await startKeeperWorld();
    const grant: GrantView = await world.hold();
    const keeper = world.keep();
    await keeper.wake();
    await world.client.broker.post(`/v1/grants/${grant.id}/release`, {});
    await world.pass(LIFE, keeper);
    expect(world.isHeld(grant.id)).toBe(false);
    expect(world.events('renewed')).toEqual([]);
    expect(world.told).toEqual([]);
    expect(grantFolder(world.context.paths, grant.id)).toContain(grant.id);
    await keeper.stop();
  });
});
