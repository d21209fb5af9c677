// Random nights on chains: people ask, answer and cancel in any order, time passes, incidents end, the catalogue changes. Whatever
// happened, no request opens without its yes, each ends by its time, and none ends twice. A failure prints the night.
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import type { RequestRow } from '../../src/store/rows.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { atEnd } from '../support/at-end.ts';
import { waitFor } from '../support/temp.ts';
import {
  CHAINS,
  type ChainWorld,
  catalogueWith,
  MINUTE,
  type Person,
  startChainWorld,
} from './chain-world.ts';

const SEED = Number(process.env.ONCALL_TEST_SEED ?? 20_260_302);
const NIGHTS = Number(process.env.ONCALL_TEST_NIGHTS ?? 8);
const PAGE = 1000;
const ROLES = ['steps', 'pair', 'parties', 'boss', 'vain', 'override', 'forbidden', 'both', 'mixed'];
/** What the catalogue becomes: as it was, or with other people on some chains. */
const CATALOGUES = [
  catalogueWith(),
  catalogueWith({
    ...CHAINS,
    steps: '{ stages: [{ approvers: [dora], wait: 5m }, { approvers: [carla], wait: 10m }], expires: 1h }',
    pair: '{ approvers: [ben, dora, eli], need: 2, expires: 1h }',
  }),
];

let world: ChainWorld;
let store: Store;
let incidents = 0;
let asked = 0;

beforeAll(async () => {
  world = await startChainWorld();
  store = await openSqliteStore({ file: join(world.installation.directory, 'oncall.db'), now: world.now });
  atEnd(() => store.close());
});

const at = fc.nat(20);
const anybody = fc.constantFrom<Person>('ana', 'gus', 'ben', 'carla', 'dora', 'eli');
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      by: fc.constantFrom<Person>('ana', 'ana', 'gus', 'ben'),
      role: fc.constantFrom(...ROLES),
      hasIncident: fc.boolean(),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('approve' as const),
      by: anybody,
      at,
      minutes: fc.integer({ min: 1, max: 150 }),
    }),
  },
  fc.record({ do: fc.constant('deny' as const), by: anybody, at }),
  fc.record({ do: fc.constant('cancel' as const), by: anybody, at }),
  fc.record({ do: fc.constant('resolve' as const) }),
  fc.record({ do: fc.constant('reload' as const), at }),
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pass' as const), minutes: fc.integer({ min: 1, max: 12 }) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const allRequests = () => store.read((tx) => tx.requests({ limit: PAGE }));
const pick = <T>(list: readonly T[], index: number): T | undefined => list[index % Math.max(1, list.length)];

async function pickPending(index: number): Promise<Pick<RequestRow, 'id' | 'digest'>> {
  const pending = (await allRequests()).filter(({ state }) => state === 'pending');
  return pick(pending, index) ?? { id: 'req_nothing', digest: 'x' };
}

async function take(action: Step): Promise<void> {
  switch (action.do) {
    case 'ask': {
      const targets = [{ resource: 'db', role: action.role }];
      const body = {
        targets,
        reason: `number ${++asked}`,
        ...(action.hasIncident && { incident: `P1-${incidents}` }),
      };
      await world.post(action.by, '/v1/requests', body);
      return;
    }
    case 'approve':
      await world.approve(action.by, await pickPending(action.at), { durationSeconds: action.minutes * 60 });
      return;
    case 'deny':
      await world.deny(action.by, await pickPending(action.at));
      return;
    case 'cancel':
      await world.post(action.by, `/v1/requests/${(await pickPending(action.at)).id}/cancel`);
      return;
    case 'resolve':
      await world.post('dora', `/v1/incidents/P1-${incidents}/resolve`);
      await world.post('dora', '/v1/incidents', {
        id: `P1-${++incidents}`,
        service: 'orders',
        priority: 'P1',
      });
      return;
    case 'reload':
      world.installation.write('catalogue.yaml', pick(CATALOGUES, action.at) ?? '');
      await world.broker().reload();
      return;
    case 'pass':
      world.pass(action.minutes * MINUTE);
      await settle();
  }
}

/** Until no timer of a request is due. */
async function settle(): Promise<void> {
  // A change that changes nothing wakes the broker.
  await world.post('dora', '/v1/revoke', { user: 'nobody', reason: 'wake up' });
  const kinds = ['stage', 'expire-request'];
  const isQuiet = async () => {
    const jobs = await store.read((tx) => tx.countJobs());
    return jobs.every(({ kind, oldestDueAt }) => !kinds.includes(kind) || oldestDueAt > world.now());
  };
  await waitFor(isQuiet, { what: 'the end of due work', timeoutMs: 20_000 });
}

const chainsOf = (request: RequestRow) => request.chains as string[];

async function expectOrder(): Promise<void> {
  for (const request of await allRequests()) {
    const { answers, stages, grants } = await store.read(async (tx) => ({
      answers: await tx.approvals(request.id),
      stages: await tx.stages(request.id),
      grants: await tx.grants({ requestId: request.id, limit: PAGE }),
    }));
    const yes = answers.filter(({ verdict }) => verdict === 'approve').map(({ approver }) => approver);
    expect(answers.map(({ approver }) => approver)).not.toContain(request.user);
    expect(new Set(answers.map(({ approver }) => approver)).size).toBe(answers.length);
    if (request.state === 'pending') expect(request.expiresAt).toBeGreaterThan(world.now());
    else expect(request.decidedAt).not.toBeNull();
    if (request.state !== 'granted') expect(grants).toEqual([]);
    if (answers.some(({ verdict }) => verdict === 'deny')) expect(request.state).toBe('denied');
    for (const { chain } of stages) expect(chainsOf(request)).toContain(chain);
    if (request.state !== 'granted') continue;

    expect(request.decidedAt).toBeLessThan(request.expiresAt);
    const overridden = new Set(
      stages.filter(({ outcome }) => outcome === 'auto-override').map(({ chain }) => chain),
    );
    for (const chain of chainsOf(request)) if (!overridden.has(chain)) expectYes(chain, request, yes);
    const others = chainsOf(request).filter((chain) => !overridden.has(chain));
    expect(yes.length).toBeGreaterThanOrEqual(others.length);
    if (overridden.size > 0 && grants[0]?.via === 'override') {
      expect([...overridden]).toEqual(['override']);
      expect(request.user).toBe('ana');
    }
    for (const grant of grants) {
      expect(grant.startsAt).toBe(request.decidedAt);
      const approved = answers.map(({ durationSeconds }) => durationSeconds ?? request.durationSeconds);
      const longest = Math.min(request.durationSeconds, ...approved) * 1000;
      expect(grant.endsAt - grant.startsAt).toBeLessThanOrEqual(longest);
    }
  }
}

/** Of all that the catalogue ever named: who could say yes on this chain, and how many must. */
const COULD: Readonly<Record<string, readonly [need: number, ...people: string[]]>> = {
  steps: [1, 'ben', 'carla', 'dora'],
  pair: [2, 'ben', 'carla', 'dora', 'eli'],
  parties: [2, 'dora', 'eli', 'carla'],
  boss: [1, 'carla'],
  vain: [1, 'carla'],
  override: [1, 'ben'],
  forbidden: [1, 'ben'],
  second: [1, 'carla'],
};

function expectYes(chain: string, request: RequestRow, yes: readonly string[]): void {
  const [need, ...people] = COULD[chain] ?? [Number.POSITIVE_INFINITY];
  const counted = yes.filter((one) => people.includes(one) && one !== request.user);
  expect(counted.length, `${chain} of ${request.id}`).toBeGreaterThanOrEqual(need);
}

/** The log says of each request once how it ended. */
async function expectOneEnd(): Promise<void> {
  const entries = await store.read((tx) => tx.auditEntries(0, 100_000));
  const ends = new Map<string, number>();
  for (const { entry } of entries) {
    const { event, subject } = JSON.parse(entry) as { event: string; subject: Record<string, string> };
    const isEnd = /^request\.(denied|expired|cancelled|refused)$/.test(event) || event === 'grant.created';
    const id = subject.request;
    if (isEnd && id) ends.set(id, (ends.get(id) ?? 0) + 1);
  }
  expect([...ends].filter(([, count]) => count > 1)).toEqual([]);
}

it('holds whatever people, time and the catalogue do', async () => {
  const night = fc.asyncProperty(
    fc.array(step, { minLength: 15, maxLength: 40, size: 'max' }),
    async (steps) => {
      await world.post('dora', '/v1/incidents', {
        id: `P1-${++incidents}`,
        service: 'orders',
        priority: 'P1',
      });
      for (const action of steps) {
        await take(action);
        if (action.do === 'pass') await expectOrder();
      }
      world.pass(61 * MINUTE);
      await settle();
      await expectOrder();
      expect((await allRequests()).filter(({ state }) => state === 'pending')).toEqual([]);
      await expectOneEnd();
    },
  );
  await fc.assert(night, { seed: SEED, numRuns: NIGHTS, endOnFailure: true });
}, 300_000);
