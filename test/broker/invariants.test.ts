// Random evenings: people ask, answer, use, lengthen and give back in any order, time passes, the target fails. Whatever
// happened, what must hold of every grant and every login holds. A failure prints the evening and the seed.
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeAll, expect, it } from 'vitest';
import type { CredentialReply, GrantView, RequestView } from '../../src/protocol/messages.ts';
import type { GrantRow } from '../../src/store/rows.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { atEnd } from '../support/at-end.ts';
import { type Answer, enrolled, type TestDevice } from '../support/device.ts';
import { install } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';
import { sshMaterial, withSsh } from './ssh-catalogue.ts';
import { createStrictTarget, type Fault, type StrictTarget } from './strict-target.ts';

const SEED = Number(process.env.ONCALL_TEST_SEED ?? 20_260_102);
const EVENINGS = Number(process.env.ONCALL_TEST_EVENINGS ?? 24);
const HARD_END_MS = 3 * 3_600_000;
const EXTENSIONS = 2;
const PAGE = 1000;

type Person = 'ana' | 'ben' | 'carla' | 'dora';

let people: Record<Person, TestDevice>;
let store: Store;
let target: StrictTarget;
let aheadMs = 0;
let incidents = 0;

const now = () => Date.now() + aheadMs;

beforeAll(async () => {
  const installation = await install({ catalogue: withSsh() });
  store = await openSqliteStore({ file: join(installation.directory, 'oncall.db'), now });
  target = createStrictTarget(store);
  await installation.start({
    now,
    decorate: { issuer: (issuer) => (issuer.kind === 'ssh' ? target.decorate(issuer) : issuer) },
  });
  atEnd(() => store.close());
  people = {
    ana: await enrolled(installation, 'ana'),
    ben: await enrolled(installation, 'ben'),
    carla: await enrolled(installation, 'carla'),
    dora: await enrolled(installation, 'dora'),
  };
});

const post = <T>(by: Person, path: string, body: unknown = {}): Promise<Answer<T>> =>
  people[by].post<T>(path, body, { createdSeconds: Math.floor(now() / 1000) });

/** Wakes the broker: a change that changes nothing. */
const wake = () => post('dora', '/v1/revoke', { user: 'nobody', reason: 'wake up' });

const allGrants = () => store.read((tx) => tx.grants({ limit: PAGE }));
const allCredentials = () => store.read((tx) => tx.credentials({ limit: PAGE }));
/** An active grant where there is one, so that most steps hit something; now and then any. */
async function pickGrant(at: number): Promise<GrantRow | undefined> {
  const grants = await allGrants();
  const active = grants.filter(({ state }) => state === 'active');
  return pick(active.length > 0 && at < 5 ? active : grants, at);
}
// Ana is on call: others ask in vain. Carla and Ben may answer.
const asker = fc.constantFrom<Person>('ana', 'ana', 'ana', 'ben');
const answerer = fc.constantFrom<Person>('ana', 'ben', 'carla', 'carla', 'carla');
const which = fc.nat(5);

const pick = <T>(list: readonly T[], at: number): T | undefined => list[at % Math.max(1, list.length)];

const step = fc.oneof(
  fc.record({ do: fc.constant('declare' as const), by: fc.constantFrom<Person>('ana', 'dora') }),
  fc.record({ do: fc.constant('resolve' as const), at: which }),
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      by: asker,
      role: fc.constantFrom('shell', 'root'),
      incident: fc.option(which, { freq: 12 }),
      minutes: fc.integer({ min: 1, max: 180 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constantFrom('approve' as const, 'approve' as const, 'deny' as const, 'cancel' as const),
      by: answerer,
      at: which,
      minutes: fc.option(fc.integer({ min: 1, max: 180 }), { freq: 1 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('issue' as const), at: which, renews: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('extend' as const),
      at: which,
      minutes: fc.integer({ min: 1, max: 400 }),
    }),
  },
  fc.record({ do: fc.constant('release' as const), at: which }),
  fc.record({ do: fc.constant('revoke' as const), user: asker }),
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('pass' as const), minutes: fc.integer({ min: 1, max: 40 }) }),
  },
  fc.record({
    do: fc.constant('fail' as const),
    faults: fc.array(fc.constantFrom<Fault>('before', 'after', 'lazy'), { minLength: 1, maxLength: 3 }),
  }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

async function take(action: Step): Promise<void> {
  switch (action.do) {
    case 'declare':
      await post(action.by, '/v1/incidents', { id: `P1-${++incidents}`, service: 'orders', priority: 'P1' });
      return;
    case 'resolve': {
      const open = await store.read((tx) => tx.incidents({ state: 'open', limit: PAGE }));
      await post('dora', `/v1/incidents/${pick(open, action.at)?.id}/resolve`);
      return;
    }
    case 'ask': {
      const open = await store.read((tx) => tx.incidents({ state: 'open', limit: PAGE }));
      const incident = action.incident === null ? undefined : pick(open, action.incident)?.id;
      const targets = [{ resource: 'db-host', role: action.role }];
      const body = { targets, durationSeconds: action.minutes * 60, ...(incident && { incident }) };
      await post<RequestView>(action.by, '/v1/requests', body);
      return;
    }
    case 'approve':
    case 'deny':
    case 'cancel': {
      const pending = await store.read((tx) => tx.requests({ state: 'pending', limit: PAGE }));
      const request = pick(pending, action.at);
      const durationSeconds = action.minutes === null ? undefined : action.minutes * 60;
      const body = {
        approve: { digest: request?.digest ?? 'x', ...(durationSeconds && { durationSeconds }) },
        deny: { digest: request?.digest ?? 'x', reason: 'not tonight' },
        cancel: {},
      }[action.do];
      const answer = await post(action.by, `/v1/requests/${request?.id}/${action.do}`, body);
      if (action.do !== 'cancel' && request?.user === action.by) expect(answer.status).not.toBe(200);
      return;
    }
    case 'issue': {
      const grant = await pickGrant(action.at);
      if (!grant) return;
      const held = (await allCredentials()).find(
        ({ grantId, state }) => grantId === grant.id && state === 'live',
      );
      const renews = action.renews && held ? { renews: held.id } : {};
      const body = { material: sshMaterial(), ...renews };
      const answer = await post<CredentialReply>(
        grant.user as Person,
        `/v1/grants/${grant.id}/credentials`,
        body,
      );
      if (answer.status !== 200) return;
      expect(target.logins.has(answer.result.handle)).toBe(true);
      expect(Date.parse(answer.result.expiresAt)).toBeLessThanOrEqual(Date.parse(answer.result.grant.endsAt));
      return;
    }
    case 'extend': {
      const grant = await pickGrant(action.at);
      if (!grant) return;
      const body = { durationSeconds: action.minutes * 60 };
      const answer = await post<GrantView>(grant.user as Person, `/v1/grants/${grant.id}/extend`, body);
      if (answer.status === 200) expect(Date.parse(answer.result.endsAt)).toBeGreaterThan(grant.endsAt);
      return;
    }
    case 'release': {
      const grant = await pickGrant(action.at);
      if (grant) await post(grant.user as Person, `/v1/grants/${grant.id}/release`);
      return;
    }
    case 'revoke':
      await post('dora', '/v1/revoke', { user: action.user, reason: 'tonight' });
      return;
    case 'pass':
      aheadMs += action.minutes * 60_000;
      return;
    case 'fail':
      target.fail(...action.faults);
  }
}

/** Until nothing is due; what waits to be tried again is brought forward. */
async function settle(): Promise<void> {
  await wake();
  const settled = async () => {
    const jobs = await store.read((tx) => tx.countJobs());
    if (jobs.some(({ oldestDueAt }) => oldestDueAt <= now())) return false;
    const open = (await allCredentials()).filter(({ state }) => state === 'ending' || state === 'issuing');
    if (open.length === 0) return true;
    aheadMs += 5_000;
    await wake();
    return false;
  };
  await waitFor(settled, { what: 'the end of due work', timeoutMs: 20_000 });
}

async function expectOrder(): Promise<void> {
  const at = now();
  const grants = await allGrants();
  const credentials = await allCredentials();
  for (const grant of grants) {
    expect(grant.endsAt).toBeLessThanOrEqual(grant.hardEndsAt);
    expect(grant.hardEndsAt - grant.startsAt).toBeLessThanOrEqual(HARD_END_MS);
    expect(grant.extensions).toBeLessThanOrEqual(EXTENSIONS);
    if (grant.state === 'active') expect(grant.endsAt).toBeGreaterThan(at - 1_000);
    const request = await store.read((tx) => tx.request(grant.requestId));
    const answers = await store.read((tx) => tx.approvals(grant.requestId));
    expect(request?.state).toBe('granted');
    expect(answers.map(({ approver }) => approver)).not.toContain(grant.user);
    if (grant.via === 'approval') expect(answers.some(({ verdict }) => verdict === 'approve')).toBe(true);
    const incident = await store.read((tx) => tx.incident(request?.incident ?? ''));
    if (grant.via === 'policy') expect(incident?.declaredBy).not.toBe(grant.user);
  }
  const actives = grants
    .filter(({ state }) => state === 'active')
    .map((grant) => `${grant.user} ${grant.role}`);
  expect(new Set(actives).size).toBe(actives.length);
  const states = new Map(grants.map(({ id, state }) => [id, state]));
  const live = credentials.filter(({ state }) => state === 'live');
  for (const { grantId } of live) expect(states.get(grantId)).toBe('active');
  // Every login is one that is on record as live, and every one on record as live is a login.
  expect([...target.logins].sort()).toEqual(live.map(({ handle }) => handle).sort());
  expect(target.complaints).toEqual([]);
}

it('holds whatever people, time and targets do', async () => {
  const evening = fc.asyncProperty(
    fc.array(step, { minLength: 20, maxLength: 50, size: 'max' }),
    async (steps) => {
      await take({ do: 'declare', by: 'dora' });
      for (const action of steps) {
        await take(action);
        if (action.do === 'pass') {
          await settle();
          await expectOrder();
        }
      }
      aheadMs += HARD_END_MS + 600_000;
      await settle();
      await expectOrder();
      expect(target.logins.size).toBe(0);
      expect((await allGrants()).filter(({ state }) => state === 'active')).toEqual([]);
    },
  );
  await fc.assert(evening, { seed: SEED, numRuns: EVENINGS, endOnFailure: true });
}, 300_000);
