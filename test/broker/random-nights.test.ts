// Random nights: incidents open, resolve, reopen and change, people come on call and go, ask, use and give back, brokers
// restart, time passes. Whatever happened, nothing outlives what it was opened for. A failure prints the night and the seed.
import fc from 'fast-check';
import { expect, it, onTestFinished } from 'vitest';
import type { GrantRow } from '../../src/store/rows.ts';
import { type FakeCalendar, startCalendar } from '../support/fakes/calendar.ts';
import { Evening, HOUR, MINUTE } from './evening.ts';
import { fromCalendar, ROOT_AT_P1 } from './evening-catalogue.ts';

const SEED = Number(process.env.ONCALL_TEST_SEED ?? 20_260_303);
const NIGHTS = Number(process.env.ONCALL_TEST_NIGHTS ?? 3);
const GRACE = 10 * MINUTE;
const HARD_END_MS = 3 * HOUR;
const AUTOMATION = `automation:
  alerts: { on: { alert: { service: orders } }, bundle: wide }
  urgent: { on: { alert: { service: orders, priority: P1 } }, bundle: deep }
`;

const which = fc.nat(5);
const person = fc.constantFrom('ana' as const, 'ben' as const);
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('page' as const),
      what: fc.constantFrom(
        'fire' as const,
        'resolve' as const,
        'reopen' as const,
        'change-priority' as const,
      ),
      number: fc.constantFrom(1, 2),
      priority: fc.constantFrom('P1', 'P3'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('roster' as const),
      spans: fc.array(
        fc.record({
          who: person,
          from: fc.integer({ min: -60, max: 90 }),
          for: fc.integer({ min: 5, max: 240 }),
        }),
        {
          minLength: 1,
          maxLength: 3,
        },
      ),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('ask' as const), by: person, number: fc.constantFrom(1, 2) }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('issue' as const), at: which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), at: which }) },
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('pass' as const), minutes: fc.integer({ min: 1, max: 70 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('restart' as const), minutes: fc.integer({ min: 0, max: 70 }) }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

let evening: Evening;
let calendar: FakeCalendar;

async function take(action: Step): Promise<void> {
  const now = evening.clock.ms;
  switch (action.do) {
    case 'page':
      evening.clock.ms += 1;
      return evening.page(action.what, {
        id: `Q${action.number}`,
        number: action.number,
        priority: action.priority,
        startedAtMs: now,
      });
    case 'roster':
      calendar.setShifts(
        action.spans.map((span) => ({
          summary: span.who,
          startsAtMs: now + span.from * MINUTE,
          endsAtMs: now + (span.from + span.for) * MINUTE,
        })),
      );
      return evening.readFeeds();
    case 'ask':
      await evening.ask(action.by, { targets: [{ resource: 'wide' }], incident: `#${action.number}` });
      return;
    case 'issue': {
      const grant = await pick(action.at);
      if (grant) await evening.issue(grant.user, grant.id);
      return;
    }
    case 'release': {
      const grant = await pick(action.at);
      if (grant) await evening.post(grant.user, `/v1/grants/${grant.id}/release`);
      return;
    }
    case 'pass':
      return evening.pass(action.minutes * MINUTE);
    case 'restart':
      await evening.stop();
      evening.clock.ms += action.minutes * MINUTE;
      await evening.restart();
      return evening.settle();
  }
}

async function pick(at: number): Promise<GrantRow | undefined> {
  const open = [...(await evening.open('ana')), ...(await evening.open('ben'))];
  return open[at % Math.max(1, open.length)];
}

async function expectOrder(): Promise<void> {
  const now = evening.clock.ms;
  const seen = new Set<string>();
  for (const user of ['ana', 'ben'])
    for (const grant of await evening.open(user)) {
      const name = `${user} ${grant.resource}:${grant.role}`;
      expect(seen, `${name} is open twice`).not.toContain(name);
      seen.add(name);
      expect(grant.endsAt).toBeGreaterThan(now);
      expect(grant.endsAt).toBeLessThanOrEqual(grant.hardEndsAt);
      if (grant.state === 'active') expect(grant.hardEndsAt - grant.startsAt).toBe(HARD_END_MS);
      if (grant.shiftEndsAt !== null) expect(grant.shiftEndsAt + GRACE).toBeGreaterThan(now);
      const ends = await endsOfIncidents(grant);
      const grace = grant.state === 'ready' ? 0 : GRACE;
      expect(Math.max(...ends) + grace, `${name} outlives its incidents`).toBeGreaterThan(now);
      await expectLogins(grant);
    }
}

/** When each of its incidents ended: never, for one that is open. */
async function endsOfIncidents({ id }: GrantRow): Promise<number[]> {
  return evening.store.read(async (tx) => {
    const rows = await Promise.all((await tx.incidentsOf(id)).map((incident) => tx.incident(incident)));
    return rows.map((row) => (row?.state === 'open' ? Number.POSITIVE_INFINITY : (row?.resolvedAt ?? 0)));
  });
}

async function expectLogins({ id, state, endsAt, graceEndsAt }: GrantRow): Promise<void> {
  const logins = await evening.store.read((tx) =>
    tx.credentials({ grantId: id, states: ['issuing', 'live'], limit: 100 }),
  );
  if (state === 'ready') expect(logins).toEqual([]);
  for (const { expiresAt } of logins)
    expect(expiresAt).toBeLessThanOrEqual(Math.min(endsAt, graceEndsAt ?? endsAt));
}

it('leave nothing open beyond its cap, its incidents, its shift, and in the end nothing at all', async () => {
  calendar = await startCalendar();
  onTestFinished(() => calendar.close());
  evening = await Evening.start({
    catalogue: fromCalendar(AUTOMATION),
    policy: ROOT_AT_P1,
    env: { CALENDAR: calendar.address },
    people: ['ana', 'ben', 'dora'],
  });
  const night = fc.asyncProperty(
    fc.array(step, { minLength: 15, maxLength: 25, size: 'max' }),
    async (steps) => {
      await take({ do: 'roster', spans: [{ who: 'ana', from: -60, for: 180 }] });
      await take({ do: 'page', what: 'fire', number: 1, priority: 'P1' });
      for (const action of steps) {
        await take(action);
        await expectOrder();
      }
      calendar.setShifts([]);
      for (let hour = 0; hour < 6; hour++) await evening.pass(HOUR);
      expect([...(await evening.open('ana')), ...(await evening.open('ben'))]).toEqual([]);
    },
  );
  await fc.assert(night, { seed: SEED, numRuns: NIGHTS, endOnFailure: true });
}, 300_000);
