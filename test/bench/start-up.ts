// How long the command line takes before and while it does something, beside the start of node itself.
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { resolvePaths } from '../../src/client/paths.ts';
import { ONCALL } from './broker.ts';
import { makeFolder } from './cleanup.ts';
import { plainEnvironment, timeInterleaved } from './process-times.ts';
import type { Row, Section } from './report.ts';
import { median } from './statistics.ts';

const ROUNDS = 31;
const NODE = 'node -e 0';
const TARGETS = [
  { name: 'oncall --version', args: ['--version'], target: 1.6 },
  { name: 'oncall status', args: ['status'], target: 1.6 },
  {
    name: 'oncall status --check',
    args: ['status', '--check', 'db-replica', '--expires-in', '10m'],
    target: 1.3,
  },
  { name: 'oncall --help', args: ['--help'], target: 2 },
];

export function measureStartUp(): Section {
  const env = plainEnvironment({ ONCALL_HOME: homeWithStatus() });
  const times = timeInterleaved(
    [
      { name: NODE, args: () => ['-e', '0'], env },
      ...TARGETS.map(({ name, args }) => ({ name, args: () => [ONCALL, ...args], env })),
    ],
    ROUNDS,
  );
  return {
    title: 'start-up',
    rows: TARGETS.map(({ name, target }) => besideNode(name, times, target)),
    notes: [`medians of ${ROUNDS} rounds; each ratio is taken within its round`],
  };
}

/** The median time, and the median of its ratios to the start of node in the same round. */
export function besideNode(name: string, times: ReadonlyMap<string, readonly number[]>, target: number): Row {
  const [own, node] = [times.get(name) ?? [], times.get(NODE) ?? []];
  const ratios = own.map((ms, round) => ms / (node[round] ?? Number.NaN));
  return { name, value: median(own), unit: 'ms', ratio: { value: median(ratios), to: NODE, target } };
}

/** A device that holds one grant. */
function homeWithStatus(): string {
  const home = makeFolder('status');
  const instant = (fromNowMs: number) => new Date(Date.now() + fromNowMs).toISOString();
  const status = {
    schema: 'oncall.status/v1',
    profile: 'default',
    broker: 'https://oncall.example.com',
    user: 'ana',
    device: { id: 'dev_1', name: 'laptop' },
    brokerContactAt: instant(0),
    grants: [
      {
        id: 'gr_01jxyz0000000000000000',
        target: { resource: 'db-replica', role: 'read' },
        kind: 'postgres',
        startsAt: instant(-60_000),
        endsAt: instant(7_000_000),
        hardEndsAt: instant(14_000_000),
        extensionsLeft: 4,
        incidents: ['P1-123'],
        credentialExpiresAt: instant(500_000),
      },
    ],
    pending: [],
    incidents: [{ id: 'P1-123', priority: 'P1', service: 'orders', title: 'orders are slow' }],
    shifts: [
      { schedule: 'orders-primary', level: 1, startsAt: instant(-3_600_000), endsAt: instant(3_600_000) },
    ],
    approvalsWaiting: 0,
    notices: [],
  };
  const { statusFile } = resolvePaths({ ONCALL_HOME: home }, 'default');
  mkdirSync(dirname(statusFile), { recursive: true, mode: 0o700 });
  writeFileSync(statusFile, `${JSON.stringify(status)}\n`, { mode: 0o600 });
  return home;
}
