// The event stream: each hears what concerns them, all of it and once, for as long as they may.
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningBroker } from '../../src/broker/broker.ts';
import type { RequestView } from '../../src/protocol/messages.ts';
import type { ReadTx, Store } from '../../src/store/store.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type EventListener, listen, listenBy } from '../support/event-listener.ts';
import { type Installation, install, PEOPLE, withPostgres } from '../support/installation.ts';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { copyInstallation, migrateStore, POSTGRES_STORE, startSecond } from './second-broker.ts';

let count = 0;
async function declare(dora: TestDevice): Promise<string> {
  count += 1;
  const id = `P1-${count}`;
  await dora.post('/v1/incidents', { id, service: 'orders', priority: 'P1' });
  return id;
}

const told = ({ events }: EventListener) => events.map(({ event }) => event);
const incidentsOf = ({ events }: EventListener) => events.flatMap(({ subject }) => subject.incident ?? []);
const hears = (listener: EventListener, incident: string) =>
  waitFor(() => incidentsOf(listener).includes(incident), { what: `word of ${incident}` });
const ends = (listener: EventListener) => waitFor(() => listener.ended, { what: 'the end of the stream' });

const TEAM = ['ana', 'ben', 'carla', 'dora'] as const;
type Team = Record<(typeof TEAM)[number], TestDevice>;

async function enrolAll(installation: Installation): Promise<Team> {
  const team: Partial<Team> = {};
  for (const user of TEAM) team[user] = await enrolled(installation, user);
  return team as Team;
}

describe('a stream', () => {
  let installation: Installation;
  let team: Team;

  beforeAll(async () => {
    installation = await install({ catalogue: withPostgres() });
    await installation.start({ streamLimits: { heartbeatMs: 100 } });
    team = await enrolAll(installation);
  });

  it('greets, and tells everybody of incidents', async () => {
    const [ana, ben] = [await listen(team.ana), await listen(team.ben)];
    const id = await declare(team.dora);
    for (const listener of [ana, ben]) {
      await hears(listener, id);
      expect(listener.status).toBe(200);
      expect(told(listener)).toEqual(['hello', 'incident.declared']);
      listener.hangUp();
    }
  });

  it('tells who asks and who is asked of a request, and nobody else', async () => {
    const incident = await declare(team.dora);
    const listeners = [await listen(team.ana), await listen(team.carla), await listen(team.dora)] as const;
    const target = { resource: 'db-replica', role: 'write' };
    const { result } = await team.ana.post<RequestView>('/v1/requests', { targets: [target], incident });
    expect(result.state).toBe('pending');
    const about = ({ events }: EventListener) =>
      events.filter(({ subject }) => subject.request === result.id).length;
    const [ana, carla, dora] = listeners;
    await waitFor(() => about(ana) > 0, { what: 'word to the one who asks' });
    await waitFor(() => about(carla) > 0, { what: 'word to the one who is asked' });
    const last = await declare(team.dora);
    await hears(dora, last);
    expect(about(dora)).toBe(0);
    for (const listener of listeners) listener.hangUp();
  });

  it('goes on where it was cut, without a gap and without telling anything twice', async () => {
    const first = await listen(team.ana);
    const heard = [await declare(team.dora), await declare(team.dora)];
    for (const id of heard) await hears(first, id);
    first.hangUp();
    const missed = [await declare(team.dora), await declare(team.dora)];
    const second = await listen(team.ana, first.lastId);
    const after = await declare(team.dora);
    await hears(second, after);
    expect(incidentsOf(first)).toEqual(heard);
    expect(incidentsOf(second)).toEqual([...missed, after]);
    second.hangUp();
  });

  it('moves on by its heartbeats where nothing concerns its listener', async () => {
    const ben = await listen(team.ben);
    const start = ben.lastId;
    for (let round = 0; round < 3; round++) await team.dora.post('/v1/devices/invite');
    await waitFor(() => ben.lastId >= start + 3, { what: 'a heartbeat with a newer position' });
    expect(told(ben)).toEqual(['hello']);
    ben.hangUp();
  });

  it('says that all must be asked for again where the position is not of this log', async () => {
    const ahead = await listen(team.ana, 123_456_789);
    await waitFor(() => told(ahead).includes('reset'), { what: 'the reset' });
    const again = await listen(team.ana, ahead.events[0]!.id);
    await waitFor(() => told(again).length > 0, { what: 'the greeting' });
    expect(told(again)).toEqual(['hello']);
    ahead.hangUp();
    again.hangUp();
  });

  it('is refused to the unsigned, the replayed, and one that asks for nonsense', async () => {
    const sent = await team.ana.prepare('GET', '/v1/events', undefined);
    const once = await listenBy(sent);
    expect(once.status).toBe(200);
    expect((await listenBy(sent)).status).toBe(401);
    expect((await listenBy({ ...sent, headers: {} })).status).toBe(401);
    const tampered = { ...sent, url: new URL('/v1/events?after=0', sent.url) };
    expect((await listenBy(tampered)).status).toBe(401);
    expect((await listenBy(await team.ana.prepare('GET', '/v1/events?after=-1', undefined))).status).toBe(
      422,
    );
    once.hangUp();
  });

  it('is one of five of a device, and its place is free when it has gone', async () => {
    const five: EventListener[] = [];
    for (let number = 0; number < 5; number++) five.push(await listen(team.ben));
    expect(five.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
    expect((await listen(team.ben)).status).toBe(429);
    const other = await listen(team.ana);
    expect(other.status).toBe(200);
    for (const listener of [...five, other]) listener.hangUp();
    await waitFor(async () => (await listen(team.ben)).status === 200, { what: 'a free place' });
  });
});

describe('a stream ends', () => {
  it('when its time is over', async () => {
    const installation = await install();
    await installation.start({ streamLimits: { longestMs: 300, heartbeatMs: 50 } });
    const listener = await listen(await enrolled(installation, 'ana'));
    await ends(listener);
    expect(listener.beats).toBeGreaterThan(0);
  });

  it('when its device is revoked, which it is told, and not when another is', async () => {
    const installation = await install();
    await installation.start();
    const [ana, other] = [await enrolled(installation, 'ana'), await enrolled(installation, 'ana')];
    const [lost, kept] = [await listen(ana), await listen(other)];
    await other.post(`/v1/devices/${ana.id}/revoke`);
    await ends(lost);
    expect(told(lost).at(-1)).toBe('device.revoked');
    const dora = await enrolled(installation, 'dora');
    await hears(kept, await declare(dora));
    expect(kept.ended).toBe(false);
    kept.hangUp();
  });

  it('when its person leaves the catalogue, without another word', async () => {
    const installation = await install();
    const broker = await installation.start({ streamLimits: { heartbeatMs: 200 } });
    const [ben, dora] = [await enrolled(installation, 'ben'), await enrolled(installation, 'dora')];
    const listener = await listen(ben);
    await waitFor(() => told(listener).length > 0, { what: 'the greeting' });
    installation.write('catalogue.yaml', PEOPLE.replace(/ {2}ben:.*\n/, '').replace('carla, ben', 'carla'));
    await broker.reload();
    await declare(dora);
    await ends(listener);
    expect(told(listener)).toEqual(['hello']);
  });

  it('when the broker stops, which does not wait for it, or for one that does not read', async () => {
    const installation = await install();
    const broker: RunningBroker = await installation.start();
    const ana = await enrolled(installation, 'ana');
    const [listener, sleeper] = [await listen(ana), await listen(ana)];
    sleeper.pause();
    const startedAt = performance.now();
    await broker.stop();
    expect(performance.now() - startedAt).toBeLessThan(5000);
    await ends(listener);
    sleeper.hangUp();
  });
});

describe('a store that fails', () => {
  it('costs neither the broker nor an event', async () => {
    let failures = 0;
    let isFailing = false;
    const failing = (store: Store): Store => ({
      ...store,
      read: (work) =>
        store.read((tx) => {
          const watched: ReadTx = {
            ...tx,
            auditSize() {
              if (!isFailing) return tx.auditSize();
              failures += 1;
              return Promise.reject(new Error('the disk is slow today'));
            },
          };
          return work(watched);
        }),
    });
    const installation = await install();
    await installation.start({ decorate: { store: failing } });
    const dora = await enrolled(installation, 'dora');
    const listener = await listen(dora);
    const before = await declare(dora);
    await hears(listener, before);
    isFailing = true;
    await waitFor(() => failures > 0, { what: 'a failure' });
    // Its reply fails with the log, and the work is done.
    const during = await declare(dora);
    expect(incidentsOf(listener)).toEqual([before]);
    isFailing = false;
    await hears(listener, during);
    expect(incidentsOf(listener)).toEqual([before, during]);
    listener.hangUp();
  });
});

describe.skipIf(!part('postgres'))('two brokers on one store', () => {
  it('tell of what happens at the other', async () => {
    const installation = await install({ store: POSTGRES_STORE });
    await migrateStore(installation);
    const second = await copyInstallation(installation);
    await installation.start();
    await startSecond(second);
    const [ana, dora] = [await enrolled(installation, 'ana'), await enrolled(installation, 'dora')];
    const sent = await ana.prepare('GET', '/v1/events', undefined);
    const listener = await listenBy({ ...sent, url: new URL('/v1/events', second.url) });
    const ids = [await declare(dora), await declare(dora), await declare(dora)];
    for (const id of ids) await hears(listener, id);
    expect(incidentsOf(listener)).toEqual(ids);
    listener.hangUp();
  });
});
