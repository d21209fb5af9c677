// What a broker shows to those who watch it, and the description of itself that it publishes.
import fastify, { type FastifyInstance } from 'fastify';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install, withPostgres } from '../support/installation.ts';

interface Operation {
  security?: object[];
  parameters: { name: string; in: string; required?: boolean; schema: object }[];
  requestBody?: { required: boolean; content: Record<string, { schema: Record<string, unknown> }> };
  responses: Record<string, { description: string }>;
}

interface Document {
  openapi: string;
  info: { title: string; version: string };
  servers: { url: string }[];
  components: { securitySchemes: Record<string, object> };
  paths: Record<string, Record<string, Operation>>;
}

const OPEN = [
  'GET /healthz',
  'GET /readyz',
  'GET /metrics',
  'GET /v1/identity',
  'GET /v1/crl/x509',
  'GET /v1/crl/break-glass',
  'GET /.well-known/jwks.json',
  'GET /v1/verify/{resource}',
  'GET /v1/krl/ssh',
  'GET /v1/krl/ssh.sig',
  'POST /v1/enroll',
  'POST /v1/webhooks/{source}',
  'POST /v1/hosts/logins',
];
const SIGNED = [
  ...['me', 'status', 'resources', 'devices', 'incidents', 'incidents/{id}', 'requests/{id}', 'approvals'],
  ...['grants', 'audit/checkpoint', 'audit/entries', 'audit/who', 'events', 'reviews'],
  ...['reviews/{id}', 'break-glass/journal', 'break-glass/resources'],
  ...['break-glass/plan', 'break-glass/packs'],
  ...['break-glass', 'rollout'],
].map((path) => `GET /v1/${path}`);
const CHANGING = [
  'audit/seen',
  ...['devices/invite', 'devices/{id}/revoke', 'incidents', 'incidents/{id}/resolve', 'explain'],
  ...['requests', 'requests/dry-run', 'requests/{id}/approve', 'requests/{id}/deny', 'requests/{id}/cancel'],
  ...['grants/{id}/credentials', 'grants/{id}/extend', 'grants/{id}/release', 'revoke', 'revoke/dry-run'],
  ...['incidents/{id}/reopen', 'reviews/{id}/close', 'break-glass/journal'],
  ...['break-glass/packs', 'break-glass/packs/{id}/confirm', 'break-glass/rotate'],
  'break-glass',
].map((path) => `POST /v1/${path}`);

let installation: Installation;
let ana: TestDevice;
let document: Document;
/** While set, the store neither answers nor fails, as one whose volume or server hangs. */
let hang: Promise<void> | undefined;

function hanging(store: Store): Store {
  const held =
    <A extends unknown[], T>(call: (...args: A) => Promise<T>) =>
    async (...args: A): Promise<T> => {
      await hang;
      return call(...args);
    };
  return { ...store, now: held(store.now), write: held(store.write) as Store['write'] };
}

beforeAll(async () => {
  installation = await install({ catalogue: withPostgres() });
  await installation.start({ decorate: { store: hanging } });
  ana = await enrolled(installation, 'ana');
  document = (await (await fetch(`${installation.url}/openapi.json`)).json()) as Document;
});

describe('a probe', () => {
  const status = async (path: string) => (await fetch(`${installation.url}${path}`)).status;

  it('finds a working broker alive and ready', async () => {
    expect([await status('/healthz'), await status('/readyz')]).toEqual([200, 200]);
  });

  it('finds it alive and not ready, soon, while its store hangs', async () => {
    let resolve = (): void => undefined;
    hang = new Promise((done) => {
      resolve = done;
    });
    const startedAt = performance.now();
    expect(await status('/healthz')).toBe(200);
    expect(await status('/readyz')).toBeGreaterThanOrEqual(400);
    expect(performance.now() - startedAt).toBeLessThan(4_000);
    hang = undefined;
    resolve();
    expect(await status('/readyz')).toBe(200);
  });

  it('that asks for what is not there gets an error of our shape', async () => {
    const reply = await fetch(`${installation.url}/v2/anything`);
    expect(reply.status).toBe(404);
    expect(await reply.json()).toMatchObject({ error: { code: 'not_found' }, time: { nonce: '' } });
  });
});

describe('/metrics', () => {
  const metrics = async () => (await fetch(`${installation.url}/metrics`)).text();

  it('counts decisions, refusals and failed authentication by reason, and shows due work', async () => {
    await ana.post('/v1/requests', { targets: [{ resource: 'db-replica' }] });
    await ana.get('/v1/requests/req_none');
    await ana.get('/v1/me', { createdSeconds: 1 });
    const text = await metrics();
    expect(text).toMatch(/^oncall_decisions_total\{effect="denied"\} 1$/m);
    expect(text).toMatch(/^oncall_denials_total\{rule="[^"]+"\} 1$/m);
    expect(text).toMatch(/^oncall_refusals_total\{code="not_found"\} [1-9]/m);
    expect(text).toMatch(/^oncall_authentication_failures_total\{reason="expired"\} 1$/m);
    expect(text).toMatch(/^oncall_jobs_due\{kind="sweep-revocations"\} 4$/m);
    expect(text).toMatch(/^oncall_job_overdue_seconds\{kind="sweep-revocations"\} 0$/m);
    expect(text).toMatch(/^oncall_http_seconds_count\{route="\/v1\/requests",status="200"\} 1$/m);
  });

  it('names routes, not what people put into them', async () => {
    await ana.get('/v1/requests/req_secretive');
    expect(await metrics()).not.toContain('req_secretive');
  });
});

describe('/openapi.json', () => {
  it('is OpenAPI 3.1 in shape', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({ title: expect.any(String), version: '0.0.0-test' });
    expect(document.servers).toEqual([{ url: `${installation.url}/` }]);
    for (const [path, operations] of Object.entries(document.paths)) {
      expect(path).toMatch(/^\//);
      for (const [method, operation] of Object.entries(operations)) {
        expect(['get', 'post']).toContain(method);
        const inPath = operation.parameters.filter((parameter) => parameter.in === 'path');
        expect(inPath.map(({ name }) => `{${name}}`)).toEqual(path.match(/\{\w+\}/g) ?? []);
        expect(inPath.every(({ required }) => required === true)).toBe(true);
        expect(Object.keys(operation.responses).length).toBeGreaterThan(0);
        for (const [status, { description }] of Object.entries(operation.responses)) {
          expect(status).toMatch(/^([1-5]\d\d|default)$/);
          expect(description).not.toBe('');
        }
      }
    }
  });

  it('lists every route, and which of them take a signature', () => {
    const listed = Object.entries(document.paths).flatMap(([path, operations]) =>
      Object.entries(operations).map(([method, { security }]) => ({
        name: `${method.toUpperCase()} ${path}`,
        signed: security !== undefined,
      })),
    );
    const names = (signed: boolean) => listed.filter((one) => one.signed === signed).map(({ name }) => name);
    expect(names(true).sort()).toEqual([...SIGNED, ...CHANGING].sort());
    expect(names(false).sort()).toEqual([...OPEN].sort());
  });

  it('says of each body what the broker holds of it', async () => {
    const published = validatorOf(document);
    const bodies = [
      ...['{}', '[]', '1', '{"unknown":1}', '{"targets":"db-replica"}', '{"targets":[]}', '{"digest":7}'],
      ...['{"reason":""}', '{"reason":"x"}', '{"durationSeconds":"1h"}', '{"durationSeconds":0}'],
      '{"targets":[{"resource":"db-replica"}]}',
      '{"targets":[{"resource":"db-replica","colour":"red"}]}',
      '{"target":{"resource":"DB"}}',
      '{"id":"P1-schema","service":"orders","priority":"P1"}',
      '{"id":"P1-schema","service":"orders","priority":"P0"}',
      '{"material":{"kind":"ftp"}}',
      '{"material":{"kind":"postgres","verifier":"x"}}',
      `{"digest":"${'f'.repeat(64)}"}`,
      `{"digest":"${'f'.repeat(64)}","reason":"\\u0007"}`,
    ];
    for (const [path, { post }] of Object.entries(document.paths)) {
      // What a device says to the door of hosts is not even read (host-reports.test.ts).
      if (!post || path === '/v1/hosts/logins') continue;
      const tag = path === '/v1/enroll' ? { tag: 'oncall-enroll' } : {};
      for (const body of bodies) {
        const answer = await ana.call('POST', path.replace('{id}', 'none'), body, tag);
        const refused = answer.error?.code === 'invalid_request';
        expect({ path, body, refused }).toEqual({ path, body, refused: await published(path, body) });
      }
    }
  });
});

/** A stranger's server made of the published schemas alone: whether it would refuse a body. */
function validatorOf({ paths }: Document): (path: string, body: string) => Promise<boolean> {
  const app: FastifyInstance = fastify({
    ajv: { customOptions: { removeAdditional: false, coerceTypes: false } },
  });
  for (const [path, { post }] of Object.entries(paths)) {
    const schema = post?.requestBody?.content['application/json']?.schema;
    if (schema) app.post(path.replace('{id}', ':id'), { schema: { body: schema } }, async () => ({}));
  }
  return async (path, body) => {
    const headers = { 'content-type': 'application/json' };
    const url = path.replace('{id}', 'none');
    return (await app.inject({ method: 'POST', url, headers, payload: body })).statusCode === 400;
  };
}
