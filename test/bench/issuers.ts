// From asking to a credential that can be used, as a warm agent gets it: key at hand, connection open. For each kind of target
// beside what cannot be left out: key material made here, two exchanges, and the same login made at the target without a broker.
import { Pool } from 'undici';
import { withStore } from '../../src/broker/host.ts';
import { createSecretReader, requireRules } from '../../src/broker/installation.ts';
import { createBrokerIssuers, loadIssuerKeys } from '../../src/broker/issuers.ts';
import { loadBrokerKeys } from '../../src/broker/keys.ts';
import { clientTarget } from '../../src/client/targets/kinds.ts';
import { openSealedCredential } from '../../src/protocol/credential-seal.ts';
import { createId } from '../../src/protocol/ids.ts';
import type { CredentialReply, RequestView } from '../../src/protocol/messages.ts';
import type { TestDevice } from '../support/device.ts';
import { BENCH_TARGETS, type StartedTarget } from './bench-targets.ts';
import { type BenchBroker, HOST, startBenchBroker } from './broker.ts';
import { enrol, send } from './load.ts';
import type { Row, Section } from './report.ts';
import { median, quantile } from './statistics.ts';

const WARM_UP = 10;
const REQUESTS = 150;
const BARE = 40;
const PEOPLE = Array.from({ length: 8 }, (_, n) => `agent-${n}`);
const ADMIN = 'dora';
const INCIDENT = 'P1-1';
const DEADLINE_MS = 30_000;

type Kind = (typeof BENCH_TARGETS)[number]['kind'];

export async function measureIssuers(): Promise<Section> {
  const started = new Map<Kind, StartedTarget>();
  const leftOut: string[] = [];
  for (const { kind, start } of BENCH_TARGETS) {
    try {
      started.set(kind, await start());
    } catch (error) {
      leftOut.push(`left out: ${kind}, for ${error instanceof Error ? error.message : 'it did not start'}`);
    }
  }
  const broker = await startBenchBroker({
    catalogue: catalogueOf(started),
    secrets: Object.assign({}, ...[...started.values()].map(({ secrets }) => secrets)),
  });
  const pool = new Pool(broker.url, { connections: 1, pipelining: 1, connect: { ca: broker.ca } });
  const admin = await enrol(broker, pool, ADMIN);
  await send(
    pool,
    await admin.prepare('POST', '/v1/incidents', { id: INCIDENT, service: 'orders', priority: 'P1' }),
  );
  const devices: TestDevice[] = [];
  for (const person of PEOPLE) devices.push(await enrol(broker, pool, person));
  const exchangeMs = await emptyExchange(pool);
  const rows: Row[] = [{ name: 'an exchange that does nothing, over TLS', value: exchangeMs, unit: 'ms' }];
  for (const [kind, { bringIn }] of started) {
    const bareMs = await bareIssuing(broker, kind, bringIn);
    const times: number[] = [];
    for (let turn = 0; turn < WARM_UP + REQUESTS; turn += 1) {
      const device = devices[turn % devices.length];
      if (!device) throw new Error('nobody asks');
      const ms = await obtain(pool, device, kind, nameOf(kind, Math.floor(turn / devices.length)));
      if (turn >= WARM_UP) times.push(ms);
    }
    const floorMs = bareMs + 2 * exchangeMs;
    rows.push(
      { name: `${kind}: made here and at the target, no broker, p50`, value: bareMs, unit: 'ms' },
      beside(`${kind}: request → usable credential, p50`, median(times), floorMs),
      beside(`${kind}: the same, p99`, quantile(times, 0.99), floorMs),
    );
  }
  await pool.close();
  return {
    title: 'access with a warm agent: request → usable credential, by kind of target (SQLite, TLS)',
    rows,
    notes: [
      `${REQUESTS} requests of each kind, one after the other, each for what is not held; signing and key material are in the time`,
      'beside: the same login made without a broker, and two exchanges that do nothing',
      ...leftOut,
    ],
  };
}

function beside(name: string, ms: number, floorMs: number): Row {
  return { name, value: ms, unit: 'ms', ratio: { value: ms / floorMs, to: 'the least' } };
}

/** Milliseconds from the decision to ask to the secret in hand. */
async function obtain(pool: Pool, device: TestDevice, kind: Kind, resource: string): Promise<number> {
  const begunAt = performance.now();
  const making = clientTarget(kind).createMaterial();
  const ask = { targets: [{ resource }], incident: INCIDENT };
  const request = (await send(pool, await device.prepare('POST', '/v1/requests', ask))) as RequestView;
  const [grant] = request.grants;
  if (!grant) throw new Error(`not granted: ${JSON.stringify(request)}`);
  const { material, secretFor } = await making;
  const path = `/v1/grants/${grant.id}/credentials`;
  const reply = (await send(pool, await device.prepare('POST', path, { material }))) as CredentialReply;
  const { privateKey } = device.sealing;
  await secretFor(reply.publicPart, (sealed) => openSealedCredential(privateKey, reply.credentialId, sealed));
  return performance.now() - begunAt;
}

/** The median of making key material and a login by the issuer itself; each is ended again, untimed. */
async function bareIssuing(
  { directory }: BenchBroker,
  kind: Kind,
  bringIn: StartedTarget['bringIn'],
): Promise<number> {
  return withStore(directory, HOST, async (store, config) => {
    const { catalogue } = await requireRules(config);
    const keys = await loadBrokerKeys(config.keysDirectory);
    const resolveSecret = createSecretReader(catalogue.directory, HOST.env);
    const made = createBrokerIssuers({
      config,
      keys,
      issuerKeys: await loadIssuerKeys(keys, config),
      store,
      resolveSecret,
      catalogueDirectory: catalogue.directory,
    });
    try {
      const issuer = made.issuers.find((one) => one.kind === kind);
      const resource = catalogue.resources.get(nameOf(kind, 0));
      if (!issuer || !resource) throw new Error(`no issuer of kind ${kind}`);
      bringIn?.(issuer.guide(resource).steps.map(({ text }) => text));
      const times: number[] = [];
      for (let turn = 0; turn < BARE; turn += 1) {
        const nowMs = Date.now();
        const subject = {
          credentialId: createId('cr', nowMs),
          grantId: createId('gr', nowMs),
          user: 'bare',
          resource,
          role: resource.defaultRole,
          incident: INCIDENT,
        };
        const handle = issuer.chooseHandle(subject);
        const [expiresAtMs, signal] = [nowMs + DEADLINE_MS, AbortSignal.timeout(DEADLINE_MS)];
        const begunAt = performance.now();
        const { material } = await clientTarget(kind).createMaterial();
        const issued = await issuer.issue({
          subject,
          handle,
          material,
          seal: async () => 'sealed to nobody',
          expiresAtMs,
          nowMs,
          deadlineMs: expiresAtMs,
          signal,
        });
        times.push(performance.now() - begunAt);
        const { publicPart } = issued;
        await issuer.end({ subject, handle, publicPart, expiresAtMs, nowMs, signal });
      }
      return median(times);
    } finally {
      await made.close();
    }
  });
}

async function emptyExchange(pool: Pool): Promise<number> {
  const times: number[] = [];
  for (let turn = 0; turn < REQUESTS; turn += 1) {
    const begunAt = performance.now();
    const { body } = await pool.request({ method: 'GET', path: '/healthz' });
    await body.dump();
    times.push(performance.now() - begunAt);
  }
  return median(times);
}

function nameOf(kind: Kind, number: number): string {
  return `${kind}-${number}`;
}

/** As many resources of each kind as there are people who ask for one after the other. */
function catalogueOf(started: ReadonlyMap<Kind, StartedTarget>): string {
  const count = Math.ceil((WARM_UP + REQUESTS) / PEOPLE.length);
  const resources = [...started].flatMap(([kind, { resource, role }]) =>
    Array.from(
      { length: count },
      (_, n) => `  ${nameOf(kind, n)}:
    service: orders
    environment: production
    sensitivity: medium
    defaultRole: ${role}
${resource}`,
    ),
  );
  return `
groups: [sre, leads, security, oncall-admins]
people:
  ${ADMIN}: { name: Dora Lind, groups: [leads, oncall-admins] }
${PEOPLE.map((person) => `  ${person}: { name: ${person}, groups: [sre] }`).join('\n')}
services:
  orders: { schedules: [${PEOPLE.join(', ')}] }
schedules:
${PEOPLE.map(
  (person) => `  ${person}:
    timeZone: Europe/Berlin
    rotations:
      - { level: 1, people: [${person}], startsAt: 2026-01-05T09:00, every: 7d }`,
).join('\n')}
resources:
${resources.join('\n')}
approvals:
  leads: { approvers: [${ADMIN}], expires: 1h }
`;
}
