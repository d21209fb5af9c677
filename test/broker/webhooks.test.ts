// The door that outside systems deliver at: what is genuine is stored and answered at once, everything else looks the same.
import { beforeAll, describe, expect, it } from 'vitest';
import type { Store, Tx } from '../../src/store/store.ts';
import {
  deliver,
  incidents,
  installDelivering,
  SECRETS,
  SENDERS,
  writeSecret,
} from '../support/delivering.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import type { Installation } from '../support/installation.ts';
import { readLog, spawnBroker } from '../support/one-life.ts';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { delivery, pagerdutySender, type SentIncident, sentIncident } from '../support/webhook-senders.ts';
import { copyInstallation, migrateStore, POSTGRES_STORE, startSecond } from './second-broker.ts';

let count = 0;
/** Each has an id of its own. */
const another = (fields: Partial<SentIncident> = {}) => {
  count += 1;
  return sentIncident({ id: `Q${count}INCIDENT`, number: 1000 + count, ...fields });
};
const fire = (incident: SentIncident) => SENDERS.pd.deliver('fire', incident, Date.now());

const known = async (device: TestDevice, { title }: SentIncident) =>
  (await incidents(device)).find((one) => one.title === title);
const arrival = (device: TestDevice, incident: SentIncident) =>
  waitFor(() => known(device, incident), { what: `incident ${incident.id}`, timeoutMs: 15_000 });

async function eventsOf(dora: TestDevice, incident: string): Promise<string[]> {
  return (await readLog(dora)).flatMap(({ entry }) => {
    const { event, subject } = JSON.parse(entry) as { event: string; subject: Record<string, string> };
    return subject.incident === incident ? [event] : [];
  });
}

/** A store whose deliveries are finished only when `gate` lets them. */
function gated(gate: () => Promise<void>): (store: Store) => Store {
  return (store) => ({
    ...store,
    write: (work) =>
      store.write((tx) => {
        const watched: Tx = {
          ...tx,
          async finishDelivery(...told) {
            await gate();
            await tx.finishDelivery(...told);
          },
        };
        return work(watched);
      }),
  });
}

describe('a webhook', () => {
  let installation: Installation;
  let dora: TestDevice;

  beforeAll(async () => {
    installation = await installDelivering();
    await installation.start();
    dora = await enrolled(installation, 'dora');
  });

  it.each(Object.keys(SENDERS) as (keyof typeof SENDERS)[])(
    'of %s is accepted, and its incident is there soon after',
    async (source) => {
      const incident = another({ title: `orders are down, says ${source}` });
      const answer = await deliver(
        installation.url,
        source,
        SENDERS[source].deliver('fire', incident, Date.now()),
      );
      expect(answer).toEqual({ status: 202, body: { accepted: true } });
      expect(await arrival(dora, incident)).toMatchObject({ source, service: 'orders', state: 'open' });
    },
  );

  it('is refused in one way for everything that is not genuine, and the log knows why', async () => {
    const genuine = fire(another({ title: 'never taken' }));
    const { url } = installation;
    const changed = Buffer.from(genuine.body.toString().replace('P1', 'P2'));
    const other = SENDERS.io.deliver('fire', another({ title: 'never taken' }), Date.now());
    const refused: [string, string, { headers: Record<string, string>; body: Buffer }][] = [
      ['unsigned', 'pd', delivery(genuine.body, {})],
      ['changed', 'pd', { ...genuine, body: changed }],
      [
        'wrong secret',
        'pd',
        pagerdutySender('guess').deliver('fire', another({ title: 'never taken' }), Date.now()),
      ],
      ["another provider's headers and body", 'pd', other],
      ["another provider's body under a valid signature", 'pd', SENDERS.pd.sign(other.body, Date.now())],
      ['truncated', 'pd', { ...genuine, body: genuine.body.subarray(0, 99) }],
      ['truncated, and signed so', 'pd', SENDERS.pd.sign(genuine.body.subarray(0, 99), Date.now())],
      ['not JSON', 'pd', SENDERS.pd.sign('status=down', Date.now())],
      ['empty', 'pd', SENDERS.pd.sign('', Date.now())],
      [
        'of another type',
        'pd',
        { ...genuine, headers: { ...genuine.headers, 'content-type': 'text/plain' } },
      ],
      ['late', 'io', SENDERS.io.deliver('fire', another({ title: 'never taken' }), Date.now() - 3_600_000)],
      ['for an unknown source', 'nobody', genuine],
      ['for a name that every object has', 'constructor', genuine],
      ['for a source that delivers nothing', 'calendar', genuine],
    ];
    for (const [what, source, sent] of refused) {
      const { status, body } = await deliver(url, source, sent);
      expect({ what, status, error: body.error }).toEqual({
        what,
        status: 401,
        error: {
          code: 'unauthenticated',
          message: 'the broker does not recognise this request',
          hint: expect.any(String),
        },
      });
    }
    const reasons = ['forged delivery', 'malformed delivery', 'no such webhook'];
    for (const reason of reasons) expect(installation.log.join('')).toContain(`"reason":"${reason}"`);
    expect((await incidents(dora)).filter(({ title }) => title === 'never taken')).toEqual([]);
  });

  it('is refused as too large when it is, signed or not', async () => {
    const huge = JSON.stringify({ event: 'x'.repeat(1024 * 1024) });
    const { status, body } = await deliver(installation.url, 'pd', SENDERS.pd.sign(huge, Date.now()));
    expect([status, body.error?.code]).toEqual([413, 'too_large']);
  });

  it('that comes again, with a fresh delivery header too, is welcome and done once', async () => {
    const incident = another({ title: 'said three times' });
    const first = fire(incident);
    const answers = await Promise.all([
      deliver(installation.url, 'pd', first),
      deliver(installation.url, 'pd', first),
      deliver(installation.url, 'pd', SENDERS.pd.sign(first.body, Date.now())),
    ]);
    expect(answers.map(({ status }) => status)).toEqual([202, 202, 202]);
    const { id } = await arrival(dora, incident);
    await deliver(installation.url, 'pd', SENDERS.pd.deliver('resolve', incident, Date.now() + 1));
    await waitFor(async () => (await known(dora, incident))?.state === 'resolved', { what: 'the end' });
    // A replay of the beginning does not begin it again.
    expect((await deliver(installation.url, 'pd', SENDERS.pd.sign(first.body, Date.now()))).status).toBe(202);
    const later = another({ title: 'after the replay' });
    await deliver(installation.url, 'pd', fire(later));
    await arrival(dora, later);
    expect(await eventsOf(dora, id)).toEqual(['incident.opened', 'incident.resolved']);
    const metrics = await (await fetch(`${installation.url}/metrics`)).text();
    expect(metrics).toMatch(/oncall_webhook_deliveries_total\{source="pd",outcome="repeated"\} 3/);
  });

  it('tells of one new incident twice at once without loss', async () => {
    const incident = another({ title: 'told by two' });
    const words = ['fire', 'acknowledge', 'change-priority'] as const;
    await Promise.all(
      words.map((word, at) =>
        deliver(installation.url, 'pd', SENDERS.pd.deliver(word, incident, Date.now() - 10 + at)),
      ),
    );
    const { id } = await arrival(dora, incident);
    expect((await eventsOf(dora, id)).filter((event) => event === 'incident.opened')).toHaveLength(1);
  });
});

describe('after the answer', () => {
  it('the work may be slow or fail, without anybody waiting or anything lost', async () => {
    const installation = await installDelivering();
    let gate = (): Promise<void> => Promise.reject(new Error('the store is in a bad way'));
    await installation.start({ decorate: { store: gated(() => gate()) } });
    const dora = await enrolled(installation, 'dora');
    const incident = another({ title: 'worked on later' });
    expect((await deliver(installation.url, 'pd', fire(incident))).status).toBe(202);
    await waitFor(() => installation.log.join('').includes('job will be tried again'), { what: 'a failure' });
    expect(await known(dora, incident)).toBeUndefined();
    gate = () => Promise.resolve();
    await arrival(dora, incident);
  });

  it('a broker that is killed before the work does it when it is back, once', async () => {
    const installation = await installDelivering();
    const broker = await spawnBroker(installation.directory, { point: 'before commit incident.opened' });
    const dora = await enrolled(installation, 'dora');
    const incident = another({ title: 'stored before the end' });
    expect((await deliver(installation.url, 'pd', fire(incident))).status).toBe(202);
    await broker.waitForOutput('fault before commit');
    await broker.ended;
    // The lease of the one that died has run out, until the work is done.
    let aheadMs = 31_000;
    await installation.start({ now: () => Date.now() + aheadMs });
    const due = async () =>
      (await (await fetch(`${installation.url}/metrics`)).text()).includes('kind="delivery"');
    await waitFor(async () => !(await due()), { what: 'the work', timeoutMs: 15_000 });
    aheadMs = 0;
    const { id } = await arrival(dora, incident);
    expect(await eventsOf(dora, id)).toEqual(['incident.opened']);
  });
});

describe.skipIf(!part('postgres'))('two brokers on one store', () => {
  it('do what both are told once', async () => {
    const installation = await installDelivering({ store: POSTGRES_STORE });
    await migrateStore(installation);
    for (const [name, secret] of Object.entries(SECRETS)) writeSecret(installation, name, secret);
    const second = await copyInstallation(installation);
    await installation.start();
    await startSecond(second);
    const dora = await enrolled(installation, 'dora');
    const urls = [installation.url, second.url];
    const told = Array.from({ length: 5 }, () => another({ title: 'told to both' }));
    for (const incident of told) {
      const sent = fire(incident);
      const other = SENDERS.pd.deliver('acknowledge', incident, Date.now() + 1);
      const all = urls.flatMap((url) => [deliver(url, 'pd', sent), deliver(url, 'pd', other)]);
      expect((await Promise.all(all)).map(({ status }) => status)).toEqual([202, 202, 202, 202]);
    }
    await waitFor(
      async () => (await incidents(dora)).filter(({ title }) => title === 'told to both').length === 5,
      { what: 'all five', timeoutMs: 20_000 },
    );
    for (const { id } of await incidents(dora)) expect(await eventsOf(dora, id)).toEqual(['incident.opened']);
  });
});
