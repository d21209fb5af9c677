// Enrolled devices that ask for access as fast as they get it: signed requests over kept TLS connections, one exchange at
// a time on each. Signing is the client's own work and happens between the timed exchanges.
import { generateKeyPairSync } from 'node:crypto';
import { Pool } from 'undici';
import type { CredentialReply, RequestView } from '../../src/protocol/messages.ts';
import { formatSshPublicKey } from '../../src/protocol/ssh-wire.ts';
import { type Sent, TestDevice } from '../support/device.ts';
import { type BenchBroker, DECLARER, HOSTS, INCIDENT, PEOPLE } from './broker.ts';
import { median } from './statistics.ts';

export interface LoadResult {
  /** Milliseconds from each request to its certificate: two exchanges. */
  readonly times: readonly number[];
  readonly seconds: number;
}

export interface Engineers {
  /** So many clients at once until so many requests are done; each is for access that nobody holds. */
  load(clients: number, requests: number): Promise<LoadResult>;
  /** Milliseconds of an exchange that does nothing. */
  emptyExchange(): Promise<number>;
  /** A request that has been signed and not sent. */
  sample(): Promise<{ sent: Sent; device: TestDevice }>;
}

const EMPTY_EXCHANGES = 300;
/** A machine that does other things may keep 64 handshakes waiting for long: that is to be measured, not to fail. */
const CONNECT_MS = 60_000;

/** Enrols a device for each person and has the incident declared by somebody else. */
export async function enrolEngineers(broker: BenchBroker): Promise<Engineers> {
  const open = (connections: number) =>
    new Pool(broker.url, { connections, pipelining: 1, connect: { ca: broker.ca, timeout: CONNECT_MS } });
  const pool = open(1);
  const declarer = await enrol(broker, pool, DECLARER);
  const declaration = { id: INCIDENT, service: 'orders', priority: 'P1', title: 'orders are slow' };
  await send(pool, await declarer.prepare('POST', '/v1/incidents', declaration));
  const devices: TestDevice[] = [];
  for (const person of PEOPLE) devices.push(await enrol(broker, pool, person));
  await pool.close();

  const publicKey = formatSshPublicKey(generateKeyPairSync('ed25519').publicKey);
  let asked = 0;

  const next = () => {
    const device = devices[asked % devices.length];
    const resource = HOSTS[Math.floor(asked / devices.length)];
    asked += 1;
    if (!device || !resource) throw new Error('all access is taken: raise HOSTS');
    return { device, ask: { targets: [{ resource }], incident: INCIDENT } };
  };

  async function requestAccess(over: Pool): Promise<number> {
    const { device, ask } = next();
    const first = await timed(over, await device.prepare('POST', '/v1/requests', ask));
    const [grant] = (first.result as RequestView).grants;
    if (!grant) throw new Error(`not granted: ${JSON.stringify(first.result)}`);
    const path = `/v1/grants/${grant.id}/credentials`;
    const second = await timed(
      over,
      await device.prepare('POST', path, { material: { kind: 'ssh', publicKey } }),
    );
    if ((second.result as CredentialReply).publicPart.kind !== 'ssh') throw new Error('no certificate came');
    return first.ms + second.ms;
  }

  return {
    async load(clients, requests) {
      const over = open(clients);
      await Promise.all(Array.from({ length: clients }, () => doNothing(over)));
      const times: number[] = [];
      let left = requests;
      const client = async () => {
        while (left > 0) {
          left -= 1;
          times.push(await requestAccess(over));
        }
      };
      const started = performance.now();
      await Promise.all(Array.from({ length: clients }, client));
      const seconds = (performance.now() - started) / 1000;
      await over.close();
      return { times, seconds };
    },
    async emptyExchange() {
      const over = open(1);
      const times: number[] = [];
      for (let i = 0; i < EMPTY_EXCHANGES; i += 1) {
        const started = performance.now();
        await doNothing(over);
        times.push(performance.now() - started);
      }
      await over.close();
      return median(times);
    },
    async sample() {
      const { device, ask } = next();
      return { device, sent: await device.prepare('POST', '/v1/requests', ask) };
    },
  };
}

/** A device of this person. */
export async function enrol(broker: BenchBroker, pool: Pool, person: string): Promise<TestDevice> {
  const device = new TestDevice(broker.url);
  const secret = new URL(await broker.invite(person)).hash.slice(1).split('-')[0];
  const { signingKey, sealingKey } = device;
  const body = { secret, deviceName: 'bench', signingKey, sealingKey, keystore: 'file' };
  await send(pool, await device.prepare('POST', '/v1/enroll', body, { tag: 'oncall-enroll' }));
  return device;
}

/** On as many connections as are asked for at once: opens those that are not open yet. */
async function doNothing(pool: Pool): Promise<void> {
  const { body } = await pool.request({ method: 'GET', path: '/healthz' });
  await body.dump();
}

async function timed(pool: Pool, sent: Sent): Promise<{ ms: number; result: unknown }> {
  const started = performance.now();
  const result = await send(pool, sent);
  return { ms: performance.now() - started, result };
}

/** The result inside the envelope, or the whole answer where there is none. Throws unless the broker did what was asked. */
export async function send(pool: Pool, { method, url, headers, body }: Sent): Promise<unknown> {
  const answer = await pool.request({
    method: method as 'POST',
    path: url.pathname,
    headers,
    body: body ?? null,
  });
  const text = await answer.body.text();
  if (answer.statusCode !== 200) throw new Error(`${method} ${url.pathname}: ${answer.statusCode}\n${text}`);
  const answered = JSON.parse(text) as { result?: unknown };
  return answered.result ?? answered;
}
