// What outside systems say, read apart from every decision: however they fail, nobody waits, and nothing false is believed.
import { describe, expect, it } from 'vitest';
import type { Me } from '../../src/protocol/messages.ts';
import { deliver, incidents, writeSecret } from '../support/delivering.ts';
import { enrolled } from '../support/device.ts';
import { startCalendar } from '../support/fakes/calendar.ts';
import type { FakeVendor } from '../support/fakes/fake-vendor.ts';
import { startIncidentIo } from '../support/fakes/incidentio.ts';
import { startJsm } from '../support/fakes/jsm.ts';
import { startPagerDuty } from '../support/fakes/pagerduty.ts';
import { install, PEOPLE } from '../support/installation.ts';
import { part } from '../support/parts.ts';
import {
  catalogue,
  closing,
  later,
  onCall,
  PAGERDUTY,
  SECRETS,
  serve,
  servePagerDuty,
  shift,
} from '../support/polled.ts';
import { waitFor } from '../support/temp.ts';
import { pagerdutySender, sentIncident } from '../support/webhook-senders.ts';
import { callAt, copyInstallation, migrateStore, POSTGRES_STORE, startSecond } from './second-broker.ts';

describe('shifts reach those who ask', () => {
  it('from PagerDuty', async () => {
    const { vendor, world, age } = await servePagerDuty();
    await onCall(world);
    expect(await age()).toBeLessThan(60);
    expect(vendor.complaints).toEqual([]);
    const asked = vendor.requests.length;
    await later(world, 5000, async () => vendor.requests.length >= asked + 3);
    // Asked again in due time, not as something that failed.
    expect(world.installation.log.filter((line) => line.includes('tried again'))).toEqual([]);
  });

  it('from Jira Service Management', async () => {
    const vendor = await closing(startJsm());
    vendor.setShifts('JS1', [{ responder: 'JBEN', ...shift() }]);
    const source = `type: jsm, url: "${vendor.url}", user: bot@example.com, token: { file: secrets/jsm }`;
    await onCall(await serve(catalogue('jsm', source, '{ source: jsm, id: JS1 }')));
    expect(vendor.complaints).toEqual([]);
  });

  it('from incident.io', async () => {
    const vendor = await closing(startIncidentIo());
    vendor.setShifts('IS1', [{ user: 'IBEN', ...shift() }]);
    const source = `type: incidentio, url: "${vendor.url}", token: { file: secrets/io }`;
    await onCall(await serve(catalogue('io', source, '{ source: io, id: IS1 }')));
    expect(vendor.complaints).toEqual([]);
  });

  it('from a calendar, which is asked for changes only, and stays fresh by having none', async () => {
    const vendor = await closing(startCalendar());
    vendor.setShifts([{ summary: 'Ben Osei', ...shift() }]);
    const source = 'type: ical, feed: { file: secrets/cal }, poll: 10s';
    const world = await serve(catalogue('cal', source, '{ source: cal }'), vendor.address);
    await onCall(world);
    const conditional = () => vendor.requests.filter(({ headers }) => headers['if-none-match']).length;
    await later(world, 5000, async () => conditional() >= 3);
    world.clock.aheadMs += 1000;
    const age = await world.metric(/^oncall_source_age_seconds\{source="cal"/);
    expect(age).toBeLessThan(60);
    expect(await world.isOnCall()).toBe(true);
  });
});

describe('a vendor that fails', () => {
  it.each<[string, (vendor: FakeVendor) => void]>([
    ['answers 500', (vendor) => vendor.fail(500)],
    ['breaks off', (vendor) => vendor.truncate()],
    ['answers with nonsense', (vendor) => vendor.answerWith({ body: { oncalls: 'none' } })],
  ])('and %s takes nothing from anybody, is shown, and is well again by itself', async (_what, fail) => {
    const { vendor, world, age } = await servePagerDuty();
    await onCall(world);
    fail(vendor);
    await later(world, 20_000, async () => (await world.warnings()).some((one) => one.includes('source pd')));
    expect(await world.isOnCall()).toBe(true);
    expect(await age()).toBeGreaterThan(10);
    vendor.recover();
    await later(world, 20_000, async () => (await world.warnings()).length === 0);
  });

  it('and hangs keeps neither a decision waiting nor other work', async () => {
    const { vendor, world } = await servePagerDuty();
    await onCall(world);
    vendor.hang();
    const seen = vendor.requests.length;
    await later(world, 10_000, async () => vendor.requests.length >= seen + 2);
    const startedAt = performance.now();
    expect(await world.isOnCall()).toBe(true);
    expect(performance.now() - startedAt).toBeLessThan(2000);
  });

  it('and asks us to stay away is left alone for so long', async () => {
    const { vendor, world } = await servePagerDuty();
    await onCall(world);
    vendor.fail(429, { retryAfter: '900' });
    const asked = () => vendor.requests.filter(({ path }) => path === '/oncalls').length;
    const seen = asked();
    const saidAt = world.clock.aheadMs;
    await later(world, 5000, async () => asked() > seen);
    await later(world, 50_000, async () => asked() > seen + 1);
    expect(world.clock.aheadMs - saidAt).toBeGreaterThanOrEqual(900_000);
  });

  it('and names nobody all at once is believed only after it has said so for as long as knowledge stays fresh', async () => {
    const { vendor, world } = await servePagerDuty(', staleness: { fresh: 30s, usable: 1h }');
    await onCall(world);
    vendor.setShifts('PS1', []);
    const saidAt = world.clock.aheadMs;
    await later(world, 12_000, async () => (await world.warnings()).some((one) => one.includes('nobody')));
    expect(await world.isOnCall()).toBe(true);
    await later(world, 12_000, async () => !(await world.isOnCall()));
    expect(world.clock.aheadMs - saidAt).toBeGreaterThanOrEqual(30_000);
    expect(await world.warnings()).toEqual([]);
  });
});

describe('many feeds of one source', () => {
  it('are all read', async () => {
    const vendor = await closing(startPagerDuty());
    const ids = Array.from({ length: 100 }, (_, at) => `PS${at}`);
    for (const id of ids) vendor.setShifts(id, [{ user: 'PBEN', level: 1, ...shift() }]);
    const feeds = `[${ids.map((id) => `{ source: pd, id: ${id} }`).join(', ')}]`;
    const world = await serve(catalogue('pd', PAGERDUTY(vendor.url), feeds));
    await onCall(world);
    const asked = new Set(vendor.requests.flatMap(({ query }) => query.getAll('schedule_ids[]')));
    expect([...asked].sort()).toEqual([...ids].sort());
  });
});

describe('many sources that hang', () => {
  it('hold up their own kind of work only, and no broker that stops', async () => {
    const vendor = await closing(startCalendar());
    vendor.hang();
    const names = Array.from({ length: 12 }, (_, at) => `cal${at}`);
    const schedules = names.map((name) => `  of-${name}: { from: { source: ${name} } }\n`).join('');
    const sources = names.map((name) => `  ${name}: { type: ical, feed: { file: secrets/cal } }\n`).join('');
    const hook = '  pd: { type: pagerduty, webhookSecrets: [{ file: secrets/hook }] }\n';
    const text = `${PEOPLE.replace('approvals:', `${schedules}approvals:`)}\nsources:\n${sources}${hook}`;
    const world = await serve(text, vendor.address);
    await waitFor(() => vendor.requests.length >= 4, { what: 'the first questions' });
    const sent = pagerdutySender(SECRETS.hook).deliver('fire', sentIncident(), Date.now());
    await deliver(world.installation.url, 'pd', sent);
    const isThere = async () => (await incidents(world.ben)).length === 1;
    await waitFor(isThere, { what: 'the work on a delivery', timeoutMs: 5000 });
    expect(vendor.requests.length).toBeLessThan(12);
    const startedAt = performance.now();
    await world.stop();
    expect(performance.now() - startedAt).toBeLessThan(5000);
  });
});

describe('a reload', () => {
  it('begins and ends the asking of a source, and forgets nothing of those that stay', async () => {
    const { vendor, world, age } = await servePagerDuty();
    await onCall(world);
    const text = world.installation.read('catalogue.yaml');
    vendor.hang();
    await world.reload();
    // What was known is known, though nobody could be asked since.
    expect(await world.isOnCall()).toBe(true);
    vendor.recover();
    world.installation.write('catalogue.yaml', PEOPLE);
    await world.reload();
    expect(await world.isOnCall()).toBe(false);
    expect(await age()).toBeUndefined();
    world.installation.write('catalogue.yaml', text);
    await world.reload();
    expect(await world.isOnCall()).toBe(true);
  });
});

describe.skipIf(!part('postgres'))('two brokers on one store', () => {
  it('ask once for both, and both know', async () => {
    const vendor = await closing(startPagerDuty());
    vendor.setShifts('PS1', [{ user: 'PBEN', level: 1, ...shift() }]);
    const text = catalogue('pd', PAGERDUTY(vendor.url), '{ source: pd, id: PS1 }');
    const installation = await install({ catalogue: text, store: POSTGRES_STORE });
    await migrateStore(installation);
    for (const [name, secret] of Object.entries(SECRETS)) writeSecret(installation, name, secret);
    const second = await copyInstallation(installation);
    await installation.start();
    await startSecond(second);
    const ben = await enrolled(installation, 'ben');
    for (const url of [installation.url, second.url]) {
      const isKnown = async () => (await callAt<Me>(url, ben, 'GET', '/v1/me')).result.shifts.length > 0;
      await waitFor(isKnown, { what: `the shift at ${url}` });
    }
    // Each begins with a question of its own, one after the other.
    expect(vendor.requests.filter(({ path }) => path === '/oncalls').length).toBeLessThanOrEqual(2);
  });
});
