// A thousand agents that keep a login each at one broker, and a broker that is away for two minutes. The agents reckon as agents
// do (src/agent/renewals.ts), each over a connection of its own; time runs faster for them, so that the broker bears ten times the
// load that such a fleet would be. Their event streams are left out: when they hear that the broker is back is drawn from the
// pauses between two tries of a stream.
import { setTimeout as delay } from 'node:timers/promises';
import { Client, type Dispatcher } from 'undici';
import { createRenewals, type Renewals } from '../../src/agent/renewals.ts';
import { AppError, isErrorCode } from '../../src/protocol/errors.ts';
import type { CredentialReply, GrantView, InviteReply, RequestView } from '../../src/protocol/messages.ts';
import { createScramVerifier } from '../../src/protocol/scram.ts';
import type { KeyMaterial } from '../../src/protocol/targets/kinds.ts';
import { TestDevice } from '../support/device.ts';
import { startDatabase } from './bench-targets.ts';
import { type BenchBroker, startBenchBroker } from './broker.ts';
import type { Row, Section } from './report.ts';
import { median, quantile } from './statistics.ts';

export interface FleetOptions {
  readonly people: number;
  /** Of each person, a device each: ten at most. */
  readonly devices: number;
  /** How much faster time runs for the agents. */
  readonly scale: number;
}

const FLEET: FleetOptions = { people: 100, devices: 10, scale: 10 };
const ADMIN = 'dora';
const INCIDENT = 'P1-1';
/** By the agents' time, as all below: the life of a credential, and how long the broker is away. */
const LIFE_SECONDS = 300;
const OUTAGE_MS = 120_000;
const STEADY_LIVES = 1.5;
const RECOVERY_LIVES = 1.5;
/** In which requests are counted together. */
const WINDOW_MS = 10_000;
/** As src/client/events.ts tries again after so long. */
const STREAM_PAUSE_MS = 30_000;
const [LATEST, STAMPEDE] = [0.75, 3];

interface Agent {
  device: TestDevice;
  client: Client;
  grant: GrantView;
  credentialId: string | undefined;
  renewals: Renewals;
  wake(): void;
}

interface Renewed {
  atMs: number;
  /** Of the life before, how much had passed. */
  share: number;
}

export async function measureFleet({ people, devices, scale }: FleetOptions = FLEET): Promise<Section> {
  const count = people * devices;
  const names = Array.from({ length: people }, (_, n) => `agent-${n}`);
  const database = await startDatabase();
  const broker = await startBenchBroker({
    catalogue: fleetCatalogue(names, LIFE_SECONDS / scale, database.resource),
    secrets: database.secrets,
  });
  const beganAt = performance.now();
  const now = () => Math.round((performance.now() - beganAt) * scale);
  const material: KeyMaterial = { kind: 'postgres', verifier: createScramVerifier('of-the-bench') };
  const renewed: Renewed[] = [];
  /** When a request was answered, whatever with. */
  const answered: number[] = [];
  const over = new AbortController();
  const agents = await enrolFleet(broker, names, devices);

  async function renew(agent: Agent, receivedAtMs: number | undefined, lifeMs: number) {
    const issue = async (renews: string | undefined): Promise<CredentialReply> => {
      const path = `/v1/grants/${agent.grant.id}/credentials`;
      const body = { material, ...(renews !== undefined && { renews }) };
      return await send<CredentialReply>(agent, path, body, () => answered.push(now()));
    };
    const reply = await issue(agent.credentialId).catch((error: unknown) => {
      const isGone = error instanceof AppError && ['ended', 'expired', 'not_found'].includes(error.code);
      if (isGone && agent.credentialId !== undefined) return issue(undefined);
      throw error;
    });
    agent.credentialId = reply.credentialId;
    const atMs = now();
    if (receivedAtMs !== undefined) renewed.push({ atMs, share: (atMs - receivedAtMs) / lifeMs });
    const lifeSeconds = ((Date.parse(reply.expiresAt) - Date.parse(reply.issuedAt)) / 1000) * scale;
    return { receivedAtMs: atMs, lifeSeconds, expiresAt: reply.expiresAt };
  }

  async function live(made: Omit<Agent, 'renewals' | 'wake'>): Promise<Agent> {
    let life: { receivedAtMs: number; lifeSeconds: number } | undefined;
    let ring = () => {};
    const agent: Agent = {
      ...made,
      wake: () => ring(),
      renewals: createRenewals({
        now,
        random: Math.random,
        async ensure() {
          const value = await renew(agent, life?.receivedAtMs, (life?.lifeSeconds ?? 1) * 1000);
          life = value;
          return [{ status: 'fulfilled', value }] as never;
        },
      }),
    };
    // In the middle of things: not all of them began at once.
    await delay((Math.random() * LIFE_SECONDS * 500) / scale);
    life = await renew(agent, undefined, 1);
    agent.renewals.keep(agent.grant, life);
    void (async () => {
      while (!over.signal.aborted) {
        const waitMs = Math.max(1, ((agent.renewals.nextAt() ?? 0) - now()) / scale);
        await new Promise<void>((done) => {
          const timer = setTimeout(done, waitMs);
          ring = () => {
            clearTimeout(timer);
            done();
          };
        });
        await agent.renewals.renewDue(over.signal);
      }
    })();
    return agent;
  }

  const fleet = await Promise.all(agents.map(live));
  const pass = (ms: number) => delay(ms / scale);
  const lifeMs = LIFE_SECONDS * 1000;
  const steadyFrom = now();
  await pass(STEADY_LIVES * lifeMs);
  const awayFrom = now();
  await broker.stop();
  await pass(OUTAGE_MS - (now() - awayFrom) - broker.startMs * scale);
  await broker.start();
  const backAt = now();
  for (const { renewals, wake } of fleet) {
    void delay((Math.random() * STREAM_PAUSE_MS * (0.5 + Math.random() / 2)) / scale).then(() => {
      renewals.brokerIsBack();
      wake();
    });
  }
  await pass(RECOVERY_LIVES * lifeMs);
  const endedAt = now();
  over.abort();
  for (const { wake } of fleet) wake();
  await Promise.all(fleet.map(({ client }) => client.destroy()));

  const between = (from: number, to: number) => renewed.filter(({ atMs }) => atMs >= from && atMs < to);
  const steady = between(steadyFrom, awayFrom).map(({ share }) => share);
  const after = between(backAt, endedAt).map(({ share }) => share);
  const rate = steady.length / ((awayFrom - steadyFrom) / 1000);
  const peak = busiest(answered.filter((atMs) => atMs >= backAt)) / (WINDOW_MS / 1000);
  const usable = fleet.filter(({ grant, renewals }) => (renewals.runsOutAt(grant.id) ?? 0) > endedAt);
  const latest = Math.max(...steady);
  const rows: Row[] = [
    { name: 'renewals a second, all is well', value: rate * scale, unit: '/s' },
    { name: 'renewed after this share of its life, p50', value: median(steady), unit: '' },
    { name: 'the same, p99', value: quantile(steady, 0.99), unit: '' },
    {
      name: 'the same, the latest of all',
      value: latest,
      unit: '',
      ratio: { value: latest / LATEST, to: `${LATEST}`, target: 1 },
    },
    { name: 'renewed after the outage: share of its life, p99', value: quantile(after, 0.99), unit: '' },
    {
      name: 'had run out by then',
      value: after.filter((share) => share > 1).length,
      unit: '',
      note: `of ${count}`,
    },
    {
      name: 'agents without a login when all was over',
      value: count - usable.length,
      unit: '',
      ratio: { value: count - usable.length, to: 'none', target: 0 },
    },
    {
      name: 'busiest 10 s once the broker is back',
      value: peak * scale,
      unit: '/s',
      ratio: { value: peak / rate, to: 'the usual rate', target: STAMPEDE },
    },
  ];
  return {
    title: `${count} agents at one broker, away for two minutes in between (SQLite, TLS, PostgreSQL logins)`,
    rows,
    notes: [
      `time runs ${scale} times as fast: a life of ${LIFE_SECONDS} s takes ${LIFE_SECONDS / scale} s, rates are what the broker bore`,
      `it was away for ${Math.round((backAt - awayFrom) / 1000)} s by the agents' time; agents and broker share this machine`,
    ],
  };
}

/** The most in any window. */
function busiest(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  let most = 0;
  let first = 0;
  for (const [index, atMs] of sorted.entries()) {
    while ((sorted[first] ?? 0) <= atMs - WINDOW_MS) first += 1;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

async function enrolFleet(
  broker: BenchBroker,
  names: readonly string[],
  devices: number,
): Promise<Omit<Agent, 'renewals' | 'wake'>[]> {
  const open = () =>
    new Client(broker.url, {
      pipelining: 1,
      keepAliveTimeout: 60_000,
      connect: { ca: broker.ca, timeout: 60_000 },
    });
  const enrol = async (client: Client, invitation: string): Promise<TestDevice> => {
    const device = new TestDevice(broker.url);
    const secret = new URL(invitation).hash.slice(1).split('-')[0];
    const { signingKey, sealingKey } = device;
    const body = { secret, deviceName: 'bench', signingKey, sealingKey, keystore: 'file' };
    await send({ client, device }, '/v1/enroll', body, undefined, 'oncall-enroll');
    return device;
  };
  const admin = open();
  const declarer = await enrol(admin, await broker.invite(ADMIN));
  await send({ client: admin, device: declarer }, '/v1/incidents', {
    id: INCIDENT,
    service: 'orders',
    priority: 'P1',
  });
  await admin.close();
  const fleet: Omit<Agent, 'renewals' | 'wake'>[] = [];
  for (const person of names) {
    const client = open();
    const first = await enrol(client, await broker.invite(person));
    const ask = { targets: [{ resource: 'db' }], incident: INCIDENT };
    const { grants } = await send<RequestView>({ client, device: first }, '/v1/requests', ask);
    const [grant] = grants;
    if (!grant) throw new Error('nothing was granted');
    fleet.push({ device: first, client, grant, credentialId: undefined });
    for (let other = 1; other < devices; other += 1) {
      const { url } = await send<InviteReply>({ client, device: first }, '/v1/devices/invite', {});
      const own = open();
      fleet.push({ device: await enrol(own, url), client: own, grant, credentialId: undefined });
    }
  }
  return fleet;
}

/** Throws as a client does: AppError with the broker's code, `broker_unreachable` where nobody answers. */
async function send<T>(
  { client, device }: Pick<Agent, 'client' | 'device'>,
  path: string,
  body: object,
  onAnswer?: () => void,
  tag = 'oncall',
): Promise<T> {
  const sent = await device.prepare('POST', path, body, { tag });
  let answer: Dispatcher.ResponseData;
  let text: string;
  try {
    answer = await client.request({ method: 'POST', path, headers: sent.headers, body: sent.body ?? null });
    text = await answer.body.text();
  } catch (cause) {
    throw new AppError('broker_unreachable', 'nobody answers', { cause });
  }
  onAnswer?.();
  const answered = JSON.parse(text) as { result?: T; error?: { code: string } };
  if (answer.statusCode === 200) return answered.result ?? (answered as T);
  const code = answered.error?.code;
  throw new AppError(isErrorCode(code) ? code : 'internal', `answered with ${answer.statusCode}`);
}

function fleetCatalogue(names: readonly string[], lifeSeconds: number, resource: string): string {
  return `
groups: [sre, leads, security, oncall-admins]
people:
  ${ADMIN}: { name: Dora Lind, groups: [leads, oncall-admins] }
${names.map((name) => `  ${name}: { name: ${name}, groups: [sre] }`).join('\n')}
services:
  orders: { schedules: [${names.join(', ')}] }
schedules:
${names
  .map(
    (name) => `  ${name}:
    timeZone: Europe/Berlin
    rotations:
      - { level: 1, people: [${name}], startsAt: 2026-01-05T09:00, every: 7d }`,
  )
  .join('\n')}
resources:
  db:
    service: orders
    environment: production
    sensitivity: medium
    defaultRole: read
    credential: ${lifeSeconds}s
${resource}
approvals:
  leads: { approvers: [${ADMIN}], expires: 1h }
`;
}
