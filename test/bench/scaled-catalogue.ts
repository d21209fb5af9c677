// A catalogue of any size, and what a paging system says of its outside schedules: half of them are read from there, half are
// rotations of the catalogue. Everybody is on one schedule; resource n is of service n, which has schedule n (modulo their numbers).
import type { OutsideShift } from '../../src/sources/shift.ts';
import type { ShiftSnapshotRow } from '../../src/store/rows.ts';

export interface Scale {
  readonly people: number;
  readonly schedules: number;
  readonly resources: number;
}

/** Declares and approves. */
export const LEAD = 'lead';
const SOURCE = 'pagerduty';
const TURN_MS = 12 * 3_600_000;
/** As far as polling looks: a day back, two weeks ahead. */
const TURNS = { before: 2, after: 28 };
const HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4';

const isOutside = (schedule: number) => schedule % 2 === 1;
const teamOf = ({ people, schedules }: Scale, schedule: number) =>
  numbers(people).filter((person) => person % schedules === schedule);

export function scaledCatalogue(scale: Scale): string {
  const { people, schedules, resources } = scale;
  const lines = (count: number, line: (n: number) => string) => numbers(count).map(line).join('\n');
  return `
groups: [sre, leads, security, oncall-admins]
people:
  ${LEAD}: { name: Lead, groups: [leads] }
${lines(people, (n) => `  person-${n}: { name: Person ${n}, groups: [sre], manager: ${LEAD}, ids: { ${SOURCE}: P${n} } }`)}
sources:
  ${SOURCE}: { type: pagerduty, token: { file: token } }
schedules:
${lines(schedules, (n) =>
  isOutside(n)
    ? `  schedule-${n}: { from: { source: ${SOURCE}, id: S${n} } }`
    : `  schedule-${n}:
    timeZone: Europe/Berlin
    rotations:
      - { level: 1, people: [${teamOf(scale, n)
        .map((person) => `person-${person}`)
        .join(', ')}], startsAt: 2026-01-05T09:00, every: 7d }`,
)}
services:
${lines(schedules, (n) => `  service-${n}: { schedules: [schedule-${n}] }`)}
resources:
${lines(
  resources,
  (n) => `  host-${n}:
    type: ssh
    service: service-${n % schedules}
    environment: production
    sensitivity: medium
    hosts:
      - { name: host-${n}, host: 127.0.0.1, hostKeys: ["${HOST_KEY}"] }
    roles:
      operator: { login: ops }`,
)}
approvals:
  leads: { approvers: [${LEAD}, person-0] }
`;
}

/** A minute old. On each outside schedule its team takes turns of half a day. */
export function snapshotsOf(scale: Scale, nowMs: number): ShiftSnapshotRow[] {
  const fetchedAt = nowMs - 60_000;
  return numbers(scale.schedules)
    .filter(isOutside)
    .map((n) => {
      const team = teamOf(scale, n);
      const shifts = numbers(TURNS.before + TURNS.after).map((turn): OutsideShift => {
        const startsAtMs = nowMs + (turn - TURNS.before) * TURN_MS;
        const outsideUser = `P${team[turn % team.length]}`;
        return { outsideUser, level: 1, startsAtMs, endsAtMs: startsAtMs + TURN_MS };
      });
      const row = { source: SOURCE, feed: `S${n}`, takenAt: fetchedAt, fetchedAt };
      return { ...row, shifts: shifts.map((shift) => ({ ...shift })) };
    });
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, n) => n);
}
