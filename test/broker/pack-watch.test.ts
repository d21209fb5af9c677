// What a silent source does to packs: nothing. The calendar is a snapshot in the book; the store is a real one.
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createAuditLog } from '../../src/broker/audit-log.ts';
import { createBrokerKeys } from '../../src/broker/keys.ts';
import type { BreakGlassIssuers } from '../../src/broker/packs/plan.ts';
import { createPackWatch, type PackWatch } from '../../src/broker/packs/watch.ts';
import type { Rules } from '../../src/broker/rules.ts';
import { createShiftBook } from '../../src/broker/shift-book.ts';
import type { BreakGlassIssuer } from '../../src/issuers/break-glass.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { parse } from '../catalogue/edited.ts';
import { samplePack } from '../store/sample-rows.ts';
import { atEnd } from '../support/at-end.ts';
import { tempDir } from '../support/temp.ts';
import { BREAK_GLASS_POLICY } from './break-glass-world.ts';

const NOW = Date.parse('2026-03-03T02:14:00Z');
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const ISSUERS: BreakGlassIssuers = new Map([['ssh', { kind: 'ssh', material: 'ssh' } as BreakGlassIssuer]]);

let rules: Rules;
let store: Store;
let watch: PackWatch;
const posted: string[] = [];

beforeAll(async () => {
  const { catalogue, findings } = parse(`
groups: [security]
people:
  ana: { name: Ana, ids: { calendar: Ana } }
  ben: { name: Ben, ids: { calendar: Ben } }
services: { orders: { schedules: [primary] } }
sources: { calendar: { type: ical, feed: { env: A }, staleness: { fresh: 5m, usable: 1h } } }
schedules: { primary: { from: [{ source: calendar, level: 1 }] } }
resources:
  web:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    hosts: [{ name: web1, host: 10.0.0.1, hostKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4"] }]
    breakGlass: {}
    roles: { shell: { login: ops } }
`);
  if (!catalogue) throw new Error(JSON.stringify(findings));
  const { policy } = loadPolicy([{ file: 'p.cedar', text: BREAK_GLASS_POLICY }], catalogue);
  if (!policy) throw new Error('no policy');
  rules = { catalogue, policy, shifts: createShiftBook(catalogue) };
  store = await openSqliteStore({ file: join(tempDir(), 'oncall.db'), now: () => NOW });
  atEnd(() => store.close());
  await store.migrate();
  const log = createAuditLog(store, await createBrokerKeys(join(tempDir(), 'keys')), 'broker.example/oncall');
  const outbox = { post: async (_tx: unknown, { id }: { id: string }) => void posted.push(id) };
  watch = createPackWatch(store, () => rules, log, outbox as never, ISSUERS);
});

/** What the calendar said so long ago. */
function heard(ageMs: number, ...shifts: [who: string, from: number, to: number][]): void {
  const said = shifts.map(([outsideUser, from, to]) => ({
    ...{ outsideUser, level: 1, startsAtMs: NOW + from * HOUR, endsAtMs: NOW + to * HOUR },
  }));
  const at = NOW - ageMs;
  rules.shifts.take([{ source: 'calendar', feed: '', takenAt: at, fetchedAt: at, shifts: said } as never]);
}

async function stateAfterLook(): Promise<{ state: string; hours: number; revoked: number }> {
  const pack = samplePack({
    ...{ user: 'ana', resource: 'web', role: 'shell', kind: 'ssh' },
    ...{ startsAt: NOW - HOUR, endsAt: NOW + 8 * HOUR, confirmedAt: NOW },
    slots: [0, 1, 2, 3].map((number) => ({
      ...{ number, notBefore: NOW + number * 2 * HOUR, notAfter: NOW + (number * 2 + 1) * HOUR },
      serial: String(Math.floor(Math.random() * 1e15) + 1),
    })),
  });
  await store.write((tx) => tx.insertPack(pack));
  await watch.look();
  const after = await store.read((tx) => tx.pack(pack.id));
  const { entries } = await store.read((tx) => tx.revocations('break-glass-ssh'));
  const listed = new Set(entries.map(({ serial }) => serial));
  const revoked = (pack.slots as unknown as { serial: string }[]).filter(({ serial }) => listed.has(serial));
  return { state: after!.state, hours: (after!.endsAt - NOW) / HOUR, revoked: revoked.length };
}

describe('a pack whose shift comes from outside', () => {
  it('stays while its source says the same, or nothing new', async () => {
    heard(0, ['Ana', -5, 8]);
    expect(await stateAfterLook()).toEqual({ state: 'active', hours: 8, revoked: 0 });
    heard(10 * MINUTE, ['Ben', -5, 8]);
    expect(await stateAfterLook()).toEqual({ state: 'active', hours: 8, revoked: 0 });
    heard(10 * HOUR);
    expect(await stateAfterLook()).toEqual({ state: 'active', hours: 8, revoked: 0 });
  });

  it('stays where her shifts follow each other without a gap, and ends with the first gap', async () => {
    heard(0, ['Ana', -5, 2], ['Ana', 2, 9]);
    expect(await stateAfterLook()).toEqual({ state: 'active', hours: 8, revoked: 0 });
    heard(0, ['Ana', -5, 2], ['Ben', 2, 3], ['Ana', 3, 9]);
    expect(await stateAfterLook()).toEqual({ state: 'active', hours: 2, revoked: 3 });
  });

  it('goes when its source has just said that somebody else has it', async () => {
    heard(0, ['Ben', -5, 8]);
    expect(await stateAfterLook()).toEqual({ state: 'revoked', hours: 8, revoked: 4 });
  });

  it('and nobody is told to get a pack for a shift that is too old to be believed', async () => {
    posted.length = 0;
    heard(2 * HOUR, ['Ben', 4, 8]);
    await watch.look();
    expect(posted).toEqual([]);
    heard(0, ['Ben', 4, 8], ['Ana', 9, 10]);
    await watch.look();
    expect(posted).toEqual([`pack-missing/ben/primary/${new Date(NOW + 4 * HOUR).toISOString()}`]);
  });
});
