// A decision with 10,000 people, 1,000 schedules and 5,000 resources beside one with 10 of each: the broker's own way from what
// was asked to the answer, facts gathered and policy asked, with the snapshots of outside schedules loaded.
import { decide, overallEffect } from '../../src/broker/decisions.ts';
import type { Rules } from '../../src/broker/rules.ts';
import { createShiftBook } from '../../src/broker/shift-book.ts';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { STARTER_POLICY } from '../../src/policy/starter.ts';
import type { IncidentRow } from '../../src/store/rows.ts';
import type { Section } from './report.ts';
import { LEAD, type Scale, scaledCatalogue, snapshotsOf } from './scaled-catalogue.ts';
import { median, quantile } from './statistics.ts';

const SMALL: Scale = { people: 10, schedules: 10, resources: 10 };
const LARGE: Scale = { people: 10_000, schedules: 1_000, resources: 5_000 };
const TARGET = 2;
/** Both take turns, so that whatever else the machine does hits both alike. */
const TURNS = 15;
const TURN_DECISIONS = 400;
/** Every resource once: what is looked up first is found then. */
const WARM_UP = LARGE.resources;
/** No divisor of the numbers above: neighbours in the catalogue are not asked for one after the other. */
const STRIDE = 7919;

export function measureScale(): Section {
  const deciders = [SMALL, LARGE].map(createDecider);
  for (const decideOnce of deciders) timesOf(decideOnce, WARM_UP);
  const turns = Array.from({ length: TURNS }, () =>
    deciders.map((decideOnce) => {
      const times = timesOf(decideOnce, TURN_DECISIONS);
      return { p50: median(times), p99: quantile(times, 0.99) };
    }),
  );
  const middle = (at: 'p50' | 'p99', size: number) => median(turns.map((turn) => turn[size]?.[at] ?? 0));
  const row = (name: string, at: 'p50' | 'p99') => ({
    name: `${name}: ${at}`,
    value: middle(at, 1),
    unit: 'ms' as const,
    ratio: {
      value: middle(at, 1) / middle(at, 0),
      to: `that with 10 of each, ${middle(at, 0).toFixed(2)} ms`,
      ...(at === 'p99' && { target: TARGET }),
    },
  });
  const large = '10,000 people, 1,000 schedules, 5,000 resources';
  return {
    title: 'a decision, by the size of the catalogue',
    rows: [row(large, 'p50'), row(large, 'p99')],
    notes: [
      'facts gathered and policy asked, granted at once; half of the schedules are snapshots of an outside system',
      `medians over ${TURNS} turns of ${TURN_DECISIONS} decisions each, the two sizes in turn, after each schedule was looked at once`,
    ],
  };
}

function timesOf(decideOnce: () => number, count: number): number[] {
  return Array.from({ length: count }, decideOnce);
}

/** Decides for whoever is on call for the next resource; answers how long it took, in milliseconds. */
function createDecider(scale: Scale): () => number {
  const rules = loadRules(scale, Date.now());
  const { catalogue, shifts } = rules;
  let next = 0;
  return () => {
    const nowMs = Date.now();
    next = (next + STRIDE) % scale.resources;
    const resource = catalogue.resources.get(`host-${next}`);
    const [schedule = ''] = catalogue.services.get(resource?.service ?? '')?.schedules ?? [];
    const [shift] = shifts.onCall(schedule, nowMs);
    if (!resource || !shift) throw new Error('the catalogue of the bench lacks what is asked for');
    const asked = {
      user: shift.user,
      device: undefined,
      targets: [{ resource, target: { resource: resource.id, role: resource.defaultRole } }],
      bundle: undefined,
      incident: incidentOn(resource.service, nowMs),
      reason: undefined,
      durationSeconds: resource.session.defaultSeconds,
    };
    const started = performance.now();
    const decided = decide(rules, asked, nowMs);
    const ms = performance.now() - started;
    if (overallEffect(decided) !== 'grant') throw new Error('the bench is not granted what it asks for');
    return ms;
  };
}

function loadRules(scale: Scale, nowMs: number): Rules {
  const { catalogue } = parseCatalogue(scaledCatalogue(scale), 'catalogue.yaml', '/');
  const policy = catalogue && loadPolicy([{ file: 'starter.cedar', text: STARTER_POLICY }], catalogue).policy;
  if (!catalogue || !policy) throw new Error('the rules of the bench do not load');
  const shifts = createShiftBook(catalogue);
  shifts.take(snapshotsOf(scale, nowMs));
  return { catalogue, policy, shifts };
}

function incidentOn(service: string, nowMs: number): IncidentRow {
  return {
    id: 'P1-1',
    source: 'manual',
    externalId: 'P1-1',
    service,
    priority: 'P1',
    title: '',
    state: 'open',
    startedAt: nowMs,
    declaredBy: LEAD,
    assignees: [],
    url: '',
    labels: {},
    openedAt: nowMs,
    changedAt: nowMs,
    confirmedAt: null,
    resolvedAt: null,
    resolvedBy: null,
    reopenedBy: null,
  };
}
