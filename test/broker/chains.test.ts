// Approval chains on a real broker whose clock is the test's.
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RequestList, RequestView } from '../../src/protocol/messages.ts';
import { type ChainWorld, MINUTE, startChainWorld } from './chain-world.ts';

let world: ChainWorld;
let incidents = 0;

beforeAll(async () => {
  world = await startChainWorld();
});

/** What one case opened is not held in the next. */
beforeEach(async () => {
  await world.post('dora', '/v1/revoke', { user: 'ana', reason: 'next case' });
});

const askedNow = ({ waiting }: RequestView) => waiting[0]?.asked.map(({ user }) => user) ?? [];
const stageOf = ({ waiting }: RequestView) => waiting[0]?.stage;
const isListed = async (by: 'ben' | 'carla' | 'dora', id: string) =>
  (await world.get<RequestList>(by, '/v1/approvals')).result.requests.some((request) => request.id === id);

describe('a chain of stages', () => {
  it('says who is asked, what is missing, and what follows when', async () => {
    const { waiting, createdAt } = await world.ask('steps');
    expect(waiting).toEqual([
      {
        chain: 'steps',
        stage: 1,
        stages: 2,
        asked: [{ user: 'ben', reach: 'none' }],
        missing: ['1 of ben'],
        next: {
          at: new Date(Date.parse(createdAt) + 5 * MINUTE).toISOString(),
          what: 'next',
          approvers: ['carla'],
        },
      },
    ]);
  });

  it('asks the second when the first stays silent, and then either may answer', async () => {
    for (const by of ['ben', 'carla'] as const) {
      const request = await world.ask('steps', 'ana', { reason: `answered by ${by}` });
      expect(await isListed('carla', request.id)).toBe(false);
      expect((await world.approve('carla', request)).error?.code).toBe('not_found');
      world.pass(5 * MINUTE);
      const second = await world.until(request.id, (view) => stageOf(view) === 2, 'the second stage');
      expect(askedNow(second)).toEqual(['ben', 'carla']);
      expect(second.waiting[0]?.next?.what).toBe('deny');
      expect(await isListed('carla', request.id)).toBe(true);
      const { result } = await world.approve(by, request);
      expect(result).toMatchObject({ state: 'granted', waiting: [], outcome: `approved by ${by}` });
      expect(result.grants[0]).toMatchObject({ via: 'approval' });
      await world.post('dora', '/v1/revoke', { user: 'ana', reason: 'again' });
    }
  });

  it('ends in a refusal when nobody answers at all', async () => {
    const request = await world.ask('steps');
    world.pass(5 * MINUTE);
    await world.until(request.id, (view) => stageOf(view) === 2, 'the second stage');
    world.pass(10 * MINUTE - 1000);
    expect((await world.show(request.id)).state).toBe('pending');
    world.pass(1000);
    const { grants } = await world.until(request.id, ({ state }) => state === 'denied', 'the refusal');
    expect(grants).toEqual([]);
    expect((await world.approve('ben', request)).error?.code).toBe('ended');
    expect((await world.events(request.id)).filter((event) => event === 'request.denied')).toHaveLength(1);
  });

  it('skips at once a stage in which nobody can answer', async () => {
    const request = await world.ask('vain');
    const second = await world.until(request.id, (view) => stageOf(view) === 2, 'the second stage');
    expect(askedNow(second)).toEqual(['carla']);
    expect((await world.approve('carla', request)).result.state).toBe('granted');
  });

  it('gives those who were asked before the time of a last stage in which nobody can answer', async () => {
    const request = await world.ask('lastvain');
    world.pass(5 * MINUTE);
    await world.until(request.id, (view) => stageOf(view) === 2, 'the second stage');
    world.pass(9 * MINUTE);
    await world.post('dora', '/v1/revoke', { user: 'nobody', reason: 'wake up' });
    expect((await world.approve('ben', request)).result.state).toBe('granted');
  });

  it('expires with its request while a stage still runs', async () => {
    const request = await world.ask('boss');
    expect(request.waiting[0]?.next).toBeNull();
    world.pass(60 * MINUTE);
    expect((await world.approve('carla', request)).error?.code).toBe('ended');
    const { state } = await world.until(request.id, (view) => view.state !== 'pending', 'the expiry');
    expect(state).toBe('expired');
  });

  it('is over when the incident is resolved', async () => {
    const incident = `P1-${++incidents}`;
    await world.post('dora', '/v1/incidents', { id: incident, service: 'orders', priority: 'P1' });
    const request = await world.ask('steps', 'ana', { incident });
    await world.post('dora', `/v1/incidents/${incident}/resolve`);
    expect(await world.show(request.id)).toMatchObject({ state: 'denied', waiting: [] });
    world.pass(5 * MINUTE);
    await world.post('dora', '/v1/revoke', { user: 'nobody', reason: 'wake up' });
    expect((await world.approve('ben', request)).error?.code).toBe('ended');
  });
});

describe('who may answer', () => {
  it('takes two where two are needed, and each counts once', async () => {
    const request = await world.ask('pair');
    const first = await world.approve('ben', request);
    expect(first.result).toMatchObject({ state: 'pending' });
    expect(first.result.waiting[0]?.missing).toEqual(['1 of ben or carla or dora']);
    expect((await world.approve('ben', request)).error?.code).toBe('conflict');
    expect((await world.deny('ben', request)).error?.code).toBe('conflict');
    expect((await world.show(request.id)).state).toBe('pending');
    expect((await world.approve('dora', request)).result.state).toBe('granted');
  });

  it('takes two people for one from each party, even where somebody sits in both', async () => {
    const request = await world.ask('parties');
    const first = await world.approve('eli', request);
    expect(first.result.state).toBe('pending');
    expect(first.result.waiting[0]?.missing).toHaveLength(1);
    expect((await world.approve('carla', request)).result.state).toBe('granted');

    await world.post('dora', '/v1/revoke', { user: 'ana', reason: 'again' });
    const other = await world.ask('parties', 'ana', { reason: 'the other way round' });
    await world.approve('dora', other);
    expect((await world.approve('eli', other)).result.state).toBe('granted');
  });

  it('asks the manager of whoever asks, and refuses at once where there is none', async () => {
    const request = await world.ask('boss');
    expect(askedNow(request)).toEqual(['carla']);
    const body = { targets: [{ resource: 'db', role: 'boss' }] };
    expect((await world.post('gus', '/v1/requests', body)).error?.code).toBe('denied');
  });

  it('needs every chain that a rule names, and one person stands for one of them', async () => {
    const request = await world.ask('both');
    expect(request.waiting.map(({ chain }) => chain)).toEqual(['boss', 'steps']);
    world.pass(5 * MINUTE);
    const both = await world.until(request.id, ({ waiting }) => waiting[1]?.stage === 2, 'the second stage');
    expect(both.waiting[0]?.stage).toBe(1);
    // carla is the manager, and in the second stage of the other chain.
    expect((await world.approve('carla', request)).result.state).toBe('pending');
    expect((await world.approve('ben', request)).result.state).toBe('granted');
  });

  it('lets the incoming and the outgoing answer when a shift is handed over in between', async () => {
    for (const role of ['incoming', 'outgoing'] as const) {
      const untilNine = 9 * 60 * MINUTE - ((world.now() % (24 * 60 * MINUTE)) as number);
      world.pass((untilNine > 0 ? untilNine : untilNine + 24 * 60 * MINUTE) - MINUTE);
      const request = await world.ask('duty', 'ana', { reason: role });
      const [outgoing] = askedNow(request) as ['ben' | 'carla'];
      const incoming = outgoing === 'ben' ? 'carla' : 'ben';
      expect((await world.approve(incoming, request)).error?.code).toBe('not_found');
      world.pass(2 * MINUTE);
      expect(await isListed(incoming, request.id)).toBe(true);
      expect(await isListed(outgoing, request.id)).toBe(true);
      const { result } = await world.approve(role === 'incoming' ? incoming : outgoing, request);
      expect(result.state).toBe('granted');
      await world.post('dora', '/v1/revoke', { user: 'ana', reason: 'again' });
    }
  });

  it('is never whoever asks, from none of their devices', async () => {
    const request = await world.ask('pair', 'ben');
    expect(askedNow(request)).not.toContain('ben');
    expect((await world.approve('ben', request)).error?.code).toBe('forbidden');
    const path = `/v1/requests/${request.id}/approve`;
    const options = { createdSeconds: Math.floor(world.now() / 1000) };
    const answer = await world.benAgain.post(path, { digest: request.digest }, options);
    expect(answer.error?.code).toBe('forbidden');
  });
});

describe('an answer', () => {
  it('that is no ends the request at once, whoever else said yes', async () => {
    const request = await world.ask('pair');
    await world.approve('ben', request);
    const { result } = await world.deny('carla', request, 'not during the freeze');
    expect(result).toMatchObject({ state: 'denied', grants: [], waiting: [] });
    expect((await world.approve('dora', request)).error?.code).toBe('ended');
    expect(await world.events(request.id)).toContain('request.refused');
  });

  it('begins the window when it is given, of the shortest length that was approved', async () => {
    const request = await world.ask('pair');
    await world.approve('ben', request, { durationSeconds: 1800 });
    world.pass(20 * MINUTE);
    const longer = { durationSeconds: request.durationSeconds + 1 };
    expect((await world.approve('carla', request, longer)).error?.code).toBe('invalid_request');
    const { result } = await world.approve('carla', request, { durationSeconds: 3600 });
    const [grant] = result.grants;
    expect(Math.abs(Date.parse(grant!.startsAt) - world.now())).toBeLessThan(1000);
    expect(Date.parse(grant!.endsAt) - Date.parse(grant!.startsAt)).toBe(1_800_000);
  });

  it('is to exactly what was asked', async () => {
    const request = await world.ask('pair');
    const other = { id: request.id, digest: 'f'.repeat(64) };
    expect((await world.approve('ben', other)).error?.code).toBe('conflict');
    expect((await world.deny('ben', other)).error?.code).toBe('conflict');
    expect((await world.show(request.id)).answers).toEqual([]);
  });
});
