// From an alert to access that is seen: a webhook comes in, its bundle is granted, and whoever listens sees it. What
// `status --watch` does is done by hand over kept TLS connections: the event stream tells, what is held is asked for.
import { Pool } from 'undici';
import type { StatusReply } from '../../src/protocol/messages.ts';
import { alertmanagerSender } from '../support/alertmanager-sender.ts';
import type { TestDevice } from '../support/device.ts';
import { type SentDelivery, type SentIncident, sentIncident } from '../support/webhook-senders.ts';
import { ALERTED, ALERTMANAGER_TOKEN, type BenchBroker } from './broker.ts';
import { enrol, send } from './load.ts';
import type { Section } from './report.ts';
import { median, quantile } from './statistics.ts';

const WARM_UP = 10;
const ALERTS = 150;
const TARGET_MS = 250;

/** The event stream: each call waits for one more of these events. */
type NextEvent = (name: string) => Promise<void>;

export async function measureAlerts(broker: BenchBroker): Promise<Section> {
  const pool = new Pool(broker.url, { connections: 3, pipelining: 1, connect: { ca: broker.ca } });
  const device = await enrol(broker, pool, ALERTED.person);
  const nextEvent = await listen(pool, device);
  const times: number[] = [];
  for (let alert = 0; alert < WARM_UP + ALERTS; alert += 1) {
    const ms = await fire(pool, device, nextEvent, alert);
    if (alert >= WARM_UP) times.push(ms);
  }
  await pool.destroy();
  const p99 = quantile(times, 0.99);
  return {
    title: 'an alert: webhook received → bundle granted → seen by a client that listens (SQLite, TLS)',
    rows: [
      { name: 'p50', value: median(times), unit: 'ms' },
      {
        name: 'p99',
        value: p99,
        unit: 'ms',
        ratio: { value: p99 / TARGET_MS, to: `${TARGET_MS} ms`, target: 1 },
      },
    ],
    notes: [
      `${ALERTS} alerts, one after the other, each of an incident of its own that is resolved before the next`,
      'from sending the delivery to the answer of `GET /v1/status` that shows what is ready, asked for once the event is heard',
    ],
  };
}

/** Milliseconds until what an alert opens is seen; resolved after, untimed. */
async function fire(pool: Pool, device: TestDevice, nextEvent: NextEvent, alert: number): Promise<number> {
  const sender = alertmanagerSender(ALERTMANAGER_TOKEN);
  const { service } = ALERTED;
  const startedAtMs = Date.now();
  const incident: SentIncident = sentIncident({ id: `alert-${alert}`, service, startedAtMs });
  const status = await device.prepare('GET', '/v1/status', undefined);
  const started = performance.now();
  await deliver(pool, sender.deliver('fire', incident, startedAtMs));
  await nextEvent('grant.ready');
  const { grants } = (await send(pool, status)) as StatusReply;
  const ms = performance.now() - started;
  if (!grants.some(({ state }) => state === 'ready')) throw new Error('what the alert opens is not there');
  await deliver(pool, sender.deliver('resolve', incident, startedAtMs + 1));
  await nextEvent('grant.ended');
  return ms;
}

async function deliver(pool: Pool, { headers, body }: SentDelivery): Promise<void> {
  const path = '/v1/webhooks/alertmanager';
  const answer = await pool.request({ method: 'POST', path, headers, body });
  await answer.body.dump();
  if (answer.statusCode !== 202) throw new Error(`the delivery was answered with ${answer.statusCode}`);
}

async function listen(pool: Pool, device: TestDevice): Promise<NextEvent> {
  const { url, headers } = await device.prepare('GET', '/v1/events', undefined);
  const { body } = await pool.request({ method: 'GET', path: url.pathname, headers, bodyTimeout: 0 });
  const chunks = body.setEncoding('utf8')[Symbol.asyncIterator]();
  let text = '';
  return async (name) => {
    for (let end = -1; end < 0; ) {
      const at = text.indexOf(`event: ${name}\n`);
      end = at < 0 ? -1 : text.indexOf('\n\n', at);
      if (end >= 0) {
        text = text.slice(end);
        continue;
      }
      const { value, done } = await chunks.next();
      if (done) throw new Error('the event stream ended');
      text += value;
    }
  };
}
