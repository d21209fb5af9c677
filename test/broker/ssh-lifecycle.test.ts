// SSH from request to proof, with a host that nobody can reach: what is revoked is published, and time alone proves the end.
import { beforeAll, expect, it } from 'vitest';
import { parsePublicKey } from '../../src/protocol/keys.ts';
import type { CredentialReply, GrantList, GrantView, RequestView } from '../../src/protocol/messages.ts';
import { verifySignedKrl } from '../../src/protocol/signed-krl.ts';
import { parseCertificate } from '../../src/protocol/ssh-certificate.ts';
import { sshUint64 } from '../../src/protocol/ssh-wire.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';
import { sshMaterial, withSsh } from './ssh-catalogue.ts';

/** For so long after its end a host whose clock is slow may still take a certificate. */
const SKEW_MS = 60_000;

let installation: Installation;
let ana: TestDevice;
let aheadMs = 0;

beforeAll(async () => {
  installation = await install({ catalogue: withSsh() });
  await installation.start({ now: () => Date.now() + aheadMs });
  ana = await enrolled(installation, 'ana');
  const dora = await enrolled(installation, 'dora');
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
});

const signedNow = () => ({ createdSeconds: Math.floor((Date.now() + aheadMs) / 1000) });

async function ask(): Promise<GrantView> {
  const body = { targets: [{ resource: 'db-host' }], incident: 'P1-1' };
  return (await ana.post<RequestView>('/v1/requests', body, signedNow())).result.grants[0]!;
}

async function issue(grant: string, more: object = {}): Promise<CredentialReply & { serial: bigint }> {
  const body = { material: sshMaterial(), ...more };
  const { result } = await ana.post<CredentialReply>(`/v1/grants/${grant}/credentials`, body, signedNow());
  const part = result.publicPart;
  return { ...result, serial: part.kind === 'ssh' ? parseCertificate(part.certificate).serial : 0n };
}

async function grantNow(id: string): Promise<GrantView> {
  const { result } = await ana.get<GrantList>('/v1/grants', signedNow());
  return result.grants.find((grant) => grant.id === id)!;
}

/** The list as a host pulls it: verified, and not older than the last one. */
async function pull(lastNumber: number): Promise<{ number: number; lists(serial: bigint): boolean }> {
  const { identityKey } = (await (await fetch(`${installation.url}/v1/identity`)).json()) as {
    identityKey: string;
  };
  const krl = Buffer.from(await (await fetch(`${installation.url}/v1/krl/ssh`)).arrayBuffer());
  const signature = await (await fetch(`${installation.url}/v1/krl/ssh.sig`)).text();
  const { number } = verifySignedKrl({ krl, signature }, parsePublicKey(identityKey), lastNumber);
  return { number, lists: (serial) => krl.includes(sshUint64(serial)) };
}

it('a certificate names person, grant and incident, its role and nothing more, for five minutes at most', async () => {
  const grant = await ask();
  const { publicPart, handle, expiresAt } = await issue(grant.id);
  if (publicPart.kind !== 'ssh') throw new Error('not ssh');
  const certificate = parseCertificate(publicPart.certificate);
  expect(certificate.keyId).toBe(`ana/${grant.id}/P1-1`);
  expect(certificate.principals).toEqual(['oncall:db-host:shell']);
  expect(certificate.serial.toString()).toBe(handle);
  expect(certificate.validBeforeSeconds * 1000).toBe(Date.parse(expiresAt));
  expect(certificate.validBeforeSeconds - Date.now() / 1000).toBeLessThanOrEqual(300);
  expect(publicPart.knownHosts[0]).toMatch(/^\[127\.0\.0\.1\]:1 ssh-ed25519 /);
  await ana.post(`/v1/grants/${grant.id}/release`);
});

it('a renewal makes a second certificate beside the first; the end revokes both, and says until when they count', async () => {
  const grant = await ask();
  const first = await issue(grant.id);
  const second = await issue(grant.id, { renews: first.credentialId });
  expect(second.prolonged).toBe(false);
  expect(second.serial).not.toBe(first.serial);
  const live = (await grantNow(grant.id)).credentials.filter(({ state }) => state === 'live');
  expect(live).toHaveLength(2);
  const before = await pull(0);
  expect(before.lists(first.serial) || before.lists(second.serial)).toBe(false);

  const { result } = await ana.post<GrantView>(`/v1/grants/${grant.id}/release`, {}, signedNow());
  expect(result.state).toBe('ended');
  for (const { state, proof, expiresAt } of result.credentials) {
    expect(state).toBe('ending');
    const until = new Date(Date.parse(expiresAt) + SKEW_MS).toISOString();
    expect(proof).toContain(`expires-at ${until}`);
  }
  const after = await pull(before.number + 1);
  expect([after.lists(first.serial), after.lists(second.serial)]).toEqual([true, true]);

  aheadMs +=
    Math.max(...result.credentials.map(({ expiresAt }) => Date.parse(expiresAt))) - Date.now() + SKEW_MS / 2;
  const probed = await grantNow(grant.id);
  expect(probed.credentials.map(({ state }) => state)).toEqual(['ending', 'ending']);
  aheadMs += SKEW_MS / 2 + 1_000;
  const proven = async () => (await grantNow(grant.id)).credentials.every(({ state }) => state === 'ended');
  await waitFor(proven, { what: 'the proof by time', timeoutMs: 20_000 });
  for (const { proof } of (await grantNow(grant.id)).credentials) expect(proof).toMatch(/^proven: .*expired/);
}, 40_000);

it('the number of the list never falls, whatever time sweeps out of it', async () => {
  const { number } = await pull(0);
  aheadMs += 3 * 3_600_000;
  const swept = await pull(number);
  const grant = await ask();
  const { serial } = await issue(grant.id);
  await ana.post(`/v1/grants/${grant.id}/release`, {}, signedNow());
  const next = await pull(swept.number + 1);
  expect(next.lists(serial)).toBe(true);
});

it('key material that is no SSH key is refused, and nothing is signed', async () => {
  const grant = await ask();
  for (const publicKey of ['ssh-rsa AAAA', 'ssh-ed25519 AAAA', 'x', `${sshMaterial().publicKey}\u0000`]) {
    const material = { kind: 'ssh', publicKey };
    const answer = await ana.post(`/v1/grants/${grant.id}/credentials`, { material }, signedNow());
    expect(answer.error?.code).toBe('invalid_request');
  }
  const { credentials } = await grantNow(grant.id);
  expect(credentials.every(({ state }) => state !== 'live')).toBe(true);
});
