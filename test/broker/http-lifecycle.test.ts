// Tokens from request to end, as a proxy sees them by asking the broker: who is let in, until the very moment of the end.
import { chmodSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningBroker } from '../../src/broker/broker.ts';
import { brokerCheck, brokerRotateTokens, brokerTarget } from '../../src/broker/commands.ts';
import { openSealedCredential } from '../../src/protocol/credential-seal.ts';
import type { AuditWho, CredentialReply, GrantView, RequestView } from '../../src/protocol/messages.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { withHttp } from './web-catalogue.ts';

const HOST = {
  out: () => undefined,
  err: () => undefined,
  env: {},
  now: Date.now,
  signal: new AbortController().signal,
  program: ['node', 'oncall'],
  onReload: () => undefined,
};

async function startWorld(): Promise<{
  installation: Installation;
  broker: RunningBroker;
  ana: TestDevice;
  dora: TestDevice;
}> {
  const installation = await install({ catalogue: withHttp() });
  const broker = await installation.start();
  const ana = await enrolled(installation, 'ana');
  const dora = await enrolled(installation, 'dora');
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  return { installation, broker, ana, dora };
}

async function ask(ana: TestDevice): Promise<GrantView> {
  const body = { targets: [{ resource: 'tool' }], incident: 'P1-1' };
  return (await ana.post<RequestView>('/v1/requests', body)).result.grants[0]!;
}

async function issue(ana: TestDevice, grant: string, more: object = {}) {
  const body = { material: { kind: 'http' }, ...more };
  const { result, error } = await ana.post<CredentialReply>(`/v1/grants/${grant}/credentials`, body);
  const part = result?.publicPart;
  const token =
    part?.kind === 'http'
      ? Buffer.from(
          await openSealedCredential(ana.sealing.privateKey, result.credentialId, part.sealedToken),
        ).toString()
      : '';
  return { ...result, error, token };
}

async function verify(installation: Installation, token: string | undefined, resource = 'tool') {
  const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const reply = await fetch(`${installation.url}/v1/verify/${resource}`, { headers });
  return { status: reply.status, headers: reply.headers, body: await reply.text() };
}

describe('a token', () => {
  let world: Awaited<ReturnType<typeof startWorld>>;
  beforeAll(async () => {
    world = await startWorld();
  });

  it('opens its tool from its issue to the release, and says nothing else to anybody', async () => {
    const { installation, ana } = world;
    const grant = await ask(ana);
    const { token, handle } = await issue(ana, grant.id);
    expect(decodeJwt(token)).toMatchObject({ iss: `${installation.url}/`, jti: handle, grant: grant.id });
    const good = await verify(installation, token);
    expect(good).toMatchObject({ status: 200, body: '' });
    const told = ['user', 'role', 'grant', 'incident'].map((name) => good.headers.get(`x-oncall-${name}`));
    expect(told).toEqual(['ana', 'read', grant.id, 'P1-1']);
    expect(good.headers.get('cache-control')).toBe('no-store');

    await ana.post(`/v1/grants/${grant.id}/release`);
    const bad = await verify(installation, token);
    expect(bad).toMatchObject({ status: 401, body: '' });
    expect(bad.headers.get('www-authenticate')).toBe('Bearer realm="oncall", error="invalid_token"');
    expect([...bad.headers.keys()].filter((name) => name.startsWith('x-oncall'))).toEqual([]);
    const none = await verify(installation, undefined);
    expect(none.headers.get('www-authenticate')).toBe('Bearer realm="oncall"');
  });

  it('is refused with one and the same answer elsewhere, edited, oversized, or as something else', async () => {
    const { installation, ana } = world;
    const grant = await ask(ana);
    const { token } = await issue(ana, grant.id);
    const answers = [
      await verify(installation, token, 'nowhere'),
      await verify(installation, token, '__proto__'),
      await verify(installation, `${token}x`),
      await verify(installation, 'x'.repeat(9_000)),
      await verify(installation, 'a b'),
    ];
    for (const { status, body, headers } of answers) {
      expect([status, body]).toEqual([401, '']);
      expect(headers.get('www-authenticate')).toBe('Bearer realm="oncall", error="invalid_token"');
    }
    expect((await verify(installation, token)).status).toBe(200);
    await ana.post(`/v1/grants/${grant.id}/release`);
  });

  it('is replaced at its renewal by another, and both end with the grant', async () => {
    const { installation, ana } = world;
    const grant = await ask(ana);
    const first = await issue(ana, grant.id);
    const second = await issue(ana, grant.id, { renews: first.credentialId });
    expect(second.handle).not.toBe(first.handle);
    const statuses = async () => [
      (await verify(installation, first.token)).status,
      (await verify(installation, second.token)).status,
    ];
    expect(await statuses()).toEqual([200, 200]);
    const { result } = await ana.post<GrantView>(`/v1/grants/${grant.id}/release`);
    expect(await statuses()).toEqual([401, 401]);
    // The tool itself cannot be asked, so nothing is proven before its time.
    for (const { state, proof } of result.credentials) {
      expect([state, proof]).toEqual(['ending', expect.stringContaining('expires-at')]);
    }
  });

  it('needs no key material, and takes none', async () => {
    const { ana } = world;
    const grant = await ask(ana);
    for (const material of [
      { kind: 'http', publicKey: 'x' },
      { kind: 'x509', publicKey: 'AAAA' },
      { kind: 'none' },
    ]) {
      expect((await issue(ana, grant.id, { material })).error?.code).toBe('invalid_request');
    }
  });

  it('leads back to its grant by its id alone, and is nowhere in what the broker writes down', async () => {
    const { installation, ana, dora } = world;
    const grant = await ask(ana);
    const { token, handle } = await issue(ana, grant.id);
    const { result } = await dora.get<AuditWho>(`/v1/audit/who?name=${handle}`);
    expect(result.traces).toMatchObject([{ user: 'ana', grantId: grant.id }]);
    const [, , signature = ''] = token.split('.');
    expect((await verify(installation, token)).status).toBe(200);
    const written = ['oncall.db', 'oncall.db-wal'].map((name) =>
      readFileSync(join(installation.directory, name)),
    );
    expect(written.some((bytes) => bytes.includes(signature))).toBe(false);
    expect(installation.log.join('\n')).not.toContain(signature);
  });
});

describe('the keys for tokens', () => {
  const published = async ({ url }: Installation) => {
    const reply = await fetch(`${url}/.well-known/jwks.json`);
    const { keys = [] } = (await reply.json()) as { keys?: { kid: string }[] };
    return { status: reply.status, ids: keys.map(({ kid }) => kid) };
  };

  it('are seen before they are used, and kept while tokens under them live', async () => {
    const { installation, broker, ana } = await startWorld();
    const { directory } = installation;
    const grant = await ask(ana);
    const before = await issue(ana, grant.id);
    const [current, next] = (await published(installation)).ids;
    expect(decodeProtectedHeader(before.token).kid).toBe(current);

    expect((await brokerRotateTokens({ directory }, HOST)).data).toMatchObject({ outcome: 'rotated' });
    expect((await published(installation)).ids).toEqual([current, next]);
    await broker.reload();
    const after = await issue(ana, grant.id, { renews: before.credentialId });
    expect(decodeProtectedHeader(after.token).kid).toBe(next);
    const { ids } = await published(installation);
    expect([ids[0], ids[2], ids.length]).toEqual([next, current, 3]);
    expect((await verify(installation, before.token)).status).toBe(200);
    expect((await verify(installation, after.token)).status).toBe(200);

    await brokerRotateTokens({ directory }, HOST);
    await broker.reload();
    expect((await verify(installation, before.token)).status).toBe(401);
    expect((await verify(installation, after.token)).status).toBe(200);
  });

  it('stay in force where the files are spoiled, or readable by others', async () => {
    const { installation, broker, ana } = await startWorld();
    const file = join(installation.directory, 'keys', 'token.key');
    const grant = await ask(ana);
    const { token } = await issue(ana, grant.id);
    const { ids } = await published(installation);
    chmodSync(file, 0o644);
    await broker.reload();
    chmodSync(file, 0o600);
    writeFileSync(file, readFileSync(join(installation.directory, 'keys', 'log.key')));
    await broker.reload();
    expect((await published(installation)).ids).toEqual(ids);
    expect((await verify(installation, token)).status).toBe(200);
    expect(installation.log.filter((line) => line.includes('keys for tokens cannot be read'))).toHaveLength(
      2,
    );
  });

  it('are made by rotate where an older installation has none, and until then nothing is issued', async () => {
    const installation = await install({ catalogue: withHttp() });
    const { directory } = installation;
    for (const name of ['token.key', 'token-next.key']) rmSync(join(directory, 'keys', name));
    const broker = await installation.start();
    const ana = await enrolled(installation, 'ana');
    const dora = await enrolled(installation, 'dora');
    await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
    const grant = await ask(ana);
    expect((await issue(ana, grant.id)).error?.code).toBe('target_refused');
    expect(await published(installation)).toEqual({ status: 404, ids: [] });
    expect((await verify(installation, 'a.b.c')).status).toBe(401);
    const { data } = await brokerCheck({ directory }, HOST);
    expect(JSON.stringify(data)).toContain('oncall broker rotate tokens');

    expect((await brokerRotateTokens({ directory }, HOST)).data).toMatchObject({ outcome: 'made' });
    await broker.reload();
    const { token } = await issue(ana, grant.id);
    expect((await verify(installation, token)).status).toBe(200);
    expect((await published(installation)).ids).toHaveLength(2);
    const checked = await brokerCheck({ directory }, HOST);
    expect(JSON.stringify(checked.data)).not.toContain('rotate tokens');
  });
});

it('visitors of one proxy do not use up each other’s share; guesses use up the proxy’s', async () => {
  const installation = await install({ catalogue: withHttp() });
  const slow = installation.read('broker.yaml').replace('requestsPerSecond: 100000', 'requestsPerSecond: 4');
  installation.write('broker.yaml', slow);
  await installation.start();
  const ana = await enrolled(installation, 'ana');
  const dora = await enrolled(installation, 'dora');
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  const [one, two] = [await ask(ana), await ask(ana)];
  const { token } = await issue(ana, one.id);
  const statuses: number[] = [];
  for (let i = 0; i < 40; i += 1) statuses.push((await verify(installation, token)).status);
  // Its own share ran out, and nobody else's.
  expect(new Set(statuses)).toEqual(new Set([200, 429]));
  expect(two.id).toBe(one.id);
  const fresh = await issue(ana, one.id, {});
  expect((await verify(installation, fresh.token)).status).toBe(200);
  const guesses = await Promise.all(Array.from({ length: 60 }, () => verify(installation, 'a.b.c')));
  expect(guesses.some(({ status }) => status === 429)).toBe(true);
});

it('the guide names the broker’s own certificate, and no address that nginx could not compare', async () => {
  const installation = await install({ catalogue: withHttp(), tls: true });
  const { directory } = installation;
  const { data } = await brokerTarget({ directory, resource: 'tool', check: false }, HOST);
  const text = (data as { steps: { text: string }[] }).steps.map((step) => step.text).join('\n');
  expect(text).toContain(readFileSync(join(directory, 'keys', 'identity.crt'), 'utf8').trim());
  expect(text).toContain('proxy_ssl_verify on;');
  expect(text).toContain('proxy_ssl_name localhost;');
  expect(text).toContain(`${installation.url}/.well-known/jwks.json`);
});
