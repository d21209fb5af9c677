// Client certificates from request to proof, for a service that nobody can reach: what is revoked is published, and time alone
// proves the end.
import 'reflect-metadata';
import { X509Certificate as NodeCertificate } from 'node:crypto';
import { X509Certificate, X509Crl } from '@peculiar/x509';
import { beforeAll, expect, it } from 'vitest';
import { brokerTarget } from '../../src/broker/commands.ts';
import type {
  AuditWho,
  CredentialReply,
  GrantList,
  GrantView,
  RequestView,
} from '../../src/protocol/messages.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';
import { withX509, x509Material } from './web-catalogue.ts';

const SKEW_MS = 60_000;
const DAY_MS = 86_400_000;

let installation: Installation;
let ana: TestDevice;
let dora: TestDevice;
let aheadMs = 0;

beforeAll(async () => {
  installation = await install({ catalogue: withX509() });
  await installation.start({ now: () => Date.now() + aheadMs });
  ana = await enrolled(installation, 'ana');
  dora = await enrolled(installation, 'dora');
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
});

const nowMs = () => Date.now() + aheadMs;
const signedNow = () => ({ createdSeconds: Math.floor(nowMs() / 1000) });

async function ask(): Promise<GrantView> {
  const body = { targets: [{ resource: 'tool' }], incident: 'P1-1' };
  return (await ana.post<RequestView>('/v1/requests', body, signedNow())).result.grants[0]!;
}

async function issue(grant: string, more: object = {}): Promise<CredentialReply & { pem: string }> {
  const body = { material: x509Material(), ...more };
  const { result } = await ana.post<CredentialReply>(`/v1/grants/${grant}/credentials`, body, signedNow());
  return { ...result, pem: result.publicPart.kind === 'x509' ? result.publicPart.certificate : '' };
}

async function grantNow(id: string): Promise<GrantView> {
  const { result } = await ana.get<GrantList>('/v1/grants', signedNow());
  return result.grants.find((grant) => grant.id === id)!;
}

/** The list as a host pulls it: signed by the CA of the guide. */
async function pull(): Promise<{ number: bigint; nextUpdateMs: number; lists(serial: string): boolean }> {
  const reply = await fetch(`${installation.url}/v1/crl/x509`);
  expect(reply.headers.get('content-type')).toBe('application/pkix-crl');
  const crl = new X509Crl(await reply.arrayBuffer());
  const ca = await caOfGuide();
  expect(await crl.verify({ publicKey: ca })).toBe(true);
  expect(crl.issuer).toBe(ca.subject);
  expect(crl.thisUpdate.getTime()).toBeLessThan(nowMs());
  const number = Buffer.from(crl.getExtension('2.5.29.20')!.value).subarray(2).toString('hex');
  return {
    number: BigInt(`0x${number}`),
    nextUpdateMs: crl.nextUpdate?.getTime() ?? 0,
    lists: (serial) => crl.findRevoked(serial) !== null,
  };
}

async function caOfGuide(): Promise<X509Certificate> {
  const host = {
    out: () => undefined,
    err: () => undefined,
    env: {},
    now: Date.now,
    signal: new AbortController().signal,
    program: ['node', 'oncall'],
    onReload: () => undefined,
  };
  const { directory } = installation;
  const { data } = await brokerTarget({ directory, resource: 'tool', check: false }, host);
  const [step] = (data as { steps: { text: string }[] }).steps;
  return new X509Certificate(/-----BEGIN[\s\S]*-----END CERTIFICATE-----/.exec(step!.text)![0]);
}

it('a certificate names person, grant and incident, its role and nothing more, and leads to its list', async () => {
  const grant = await ask();
  const { pem, handle, expiresAt, publicPart } = await issue(grant.id);
  const certificate = new NodeCertificate(pem);
  expect(certificate.subject).toBe(`CN=${handle}\nOU=tool/read`);
  expect(certificate.subjectAltName).toBe(`URI:oncall:ana/${grant.id}/P1-1`);
  expect(Date.parse(certificate.validTo)).toBe(Date.parse(expiresAt));
  expect(certificate.checkIssued(new NodeCertificate((await caOfGuide()).toString('pem')))).toBe(true);
  expect(certificate.toString()).toBe(pem);
  expect(Buffer.from(certificate.raw).includes(`${installation.url}/v1/crl/x509`)).toBe(true);
  expect(publicPart).toMatchObject({ kind: 'x509', url: 'https://localhost:1/' });
  await ana.post(`/v1/grants/${grant.id}/release`, {}, signedNow());
});

it('what a service logs of a certificate leads back to the grant', async () => {
  const grant = await ask();
  const { handle } = await issue(grant.id);
  for (const name of [
    handle,
    `OU=tool/read,CN=${handle}`,
    handle.toLowerCase(),
    `oncall:ana/${grant.id}/P1-1`,
  ]) {
    const path = `/v1/audit/who?name=${encodeURIComponent(name)}`;
    const { result } = await dora.get<AuditWho>(path, signedNow());
    expect(result.traces).toMatchObject([{ user: 'ana', grantId: grant.id, contradiction: null }]);
  }
  await ana.post(`/v1/grants/${grant.id}/release`, {}, signedNow());
});

it('a renewal makes a second certificate beside the first; the end revokes both, and says until when they count', async () => {
  const grant = await ask();
  const first = await issue(grant.id);
  const second = await issue(grant.id, { renews: first.credentialId });
  expect(second.prolonged).toBe(false);
  expect(second.handle).not.toBe(first.handle);
  const before = await pull();
  expect(before.lists(first.handle) || before.lists(second.handle)).toBe(false);

  const { result } = await ana.post<GrantView>(`/v1/grants/${grant.id}/release`, {}, signedNow());
  for (const { state, proof, expiresAt } of result.credentials) {
    expect(state).toBe('ending');
    expect(proof).toContain(`expires-at ${new Date(Date.parse(expiresAt) + SKEW_MS).toISOString()}`);
  }
  const after = await pull();
  expect(after.number).toBeGreaterThan(before.number);
  expect([after.lists(first.handle), after.lists(second.handle)]).toEqual([true, true]);

  aheadMs += 300_000 + SKEW_MS + 1_000;
  const proven = async () => (await grantNow(grant.id)).credentials.every(({ state }) => state === 'ended');
  await waitFor(proven, { what: 'the proof by time', timeoutMs: 20_000 });
  for (const { proof } of (await grantNow(grant.id)).credentials) expect(proof).toMatch(/^proven: .*expired/);
}, 40_000);

it('the list is good for a month at any time, forgets what has expired, and its number never falls', async () => {
  const grant = await ask();
  const { handle } = await issue(grant.id);
  await ana.post(`/v1/grants/${grant.id}/release`, {}, signedNow());
  const before = await pull();
  expect(before.lists(handle)).toBe(true);
  for (const ms of [3 * 3_600_000, DAY_MS, 40 * DAY_MS]) {
    aheadMs += ms;
    const later = await pull();
    expect(later.nextUpdateMs - nowMs()).toBeGreaterThan(30 * DAY_MS);
    expect(later.number).toBeGreaterThanOrEqual(before.number);
  }
  const swept = async () => {
    aheadMs += DAY_MS;
    return !(await pull()).lists(handle);
  };
  await waitFor(swept, { what: 'the sweep' });
  expect((await pull()).number).toBeGreaterThan(before.number);
});

it('key material that is no good key is refused, and nothing is signed', async () => {
  const grant = await ask();
  const { publicKey } = x509Material();
  for (const bad of ['AAAA', `${publicKey}AAAA`, `${publicKey.slice(0, 60)}\u0000`, 'x'.repeat(2000)]) {
    const material = { kind: 'x509', publicKey: bad };
    const answer = await ana.post(`/v1/grants/${grant.id}/credentials`, { material }, signedNow());
    expect(answer.error?.code).toBe('invalid_request');
  }
  const ssh = await ana.post(
    `/v1/grants/${grant.id}/credentials`,
    { material: { kind: 'ssh', publicKey: 'ssh-ed25519 AAAA' } },
    signedNow(),
  );
  expect(ssh.error?.code).toBe('invalid_request');
  const { credentials } = await grantNow(grant.id);
  expect(credentials.every(({ state }) => state !== 'live')).toBe(true);
});
