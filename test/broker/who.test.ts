// A name at a target leads back to person, grant, request, incident and approvals: for those who may know.
import { beforeAll, describe, expect, it } from 'vitest';
import type {
  AuditPage,
  AuditWho,
  CredentialReply,
  GrantView,
  RequestView,
} from '../../src/protocol/messages.ts';
import { parseCertificate } from '../../src/protocol/ssh-certificate.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { install } from '../support/installation.ts';
import { sshMaterial, withSsh } from './ssh-catalogue.ts';

let ana: TestDevice;
let ben: TestDevice;
let carla: TestDevice;
let dora: TestDevice;
let request: RequestView;
let grant: GrantView;
let first: CredentialReply;
let second: CredentialReply;
let keyId: string;

beforeAll(async () => {
  const installation = await install({ catalogue: withSsh() });
  await installation.start();
  [ana, ben, carla, dora] = [
    await enrolled(installation, 'ana'),
    await enrolled(installation, 'ben'),
    await enrolled(installation, 'carla'),
    await enrolled(installation, 'dora'),
  ];
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  const asked = await ana.post<RequestView>('/v1/requests', {
    targets: [{ resource: 'db-host', role: 'root' }],
    incident: 'P1-1',
    reason: 'the disk is full',
  });
  await carla.post(`/v1/requests/${asked.result.id}/approve`, { digest: asked.result.digest });
  request = (await ana.get<RequestView>(`/v1/requests/${asked.result.id}`)).result;
  grant = request.grants[0]!;
  first = await issue();
  second = await issue({ renews: first.credentialId });
  keyId = keyIdOf(second);
});

async function issue(more: object = {}): Promise<CredentialReply> {
  const path = `/v1/grants/${grant.id}/credentials`;
  return (await ana.post<CredentialReply>(path, { material: sshMaterial(), ...more })).result;
}

function keyIdOf({ publicPart }: CredentialReply): string {
  if (publicPart.kind !== 'ssh') throw new Error('not a certificate');
  return parseCertificate(publicPart.certificate).keyId;
}

const who = (device: TestDevice, name: string, at?: string) =>
  device.get<AuditWho>(
    `/v1/audit/who?name=${encodeURIComponent(name)}${at === undefined ? '' : `&at=${encodeURIComponent(at)}`}`,
  );
const handlesOf = ({ result }: { result: AuditWho }) => result.traces[0]?.logins.map(({ handle }) => handle);

describe('a name at a target', () => {
  it('leads from a certificate’s key id to everything that made it', async () => {
    const { status, result } = await who(dora, keyId);
    expect(status).toBe(200);
    expect(result.traces).toMatchObject([
      {
        by: 'id',
        contradiction: null,
        user: 'ana',
        target: { resource: 'db-host', role: 'root' },
        grantId: grant.id,
        via: 'approval',
        requestId: request.id,
        reason: 'the disk is full',
        incidents: ['P1-1'],
        approvals: [{ approver: 'carla' }],
        endedAt: null,
      },
    ]);
    expect(handlesOf({ result })).toEqual([second.handle, first.handle]);
    expect(result.traces[0]?.logins[0]).toMatchObject({ kind: 'ssh', deviceId: ana.id, endedAt: null });
  });

  it('leads from a serial to one login, and from the line that sshd logs too', async () => {
    for (const name of [
      first.handle,
      `ssh2: ED25519-CERT SHA256:x ID ${keyId} (serial ${first.handle}) CA ED25519 SHA256:y`,
    ]) {
      const answer = await who(dora, name);
      expect(answer.result.traces[0]).toMatchObject({ by: 'name', contradiction: null, grantId: grant.id });
      expect(handlesOf(answer)).toEqual([first.handle]);
    }
  });

  it('leads from what a session calls itself to the grant', async () => {
    const answer = await who(dora, `oncall ${grant.id} P1-1`);
    expect(answer.result.traces[0]).toMatchObject({ by: 'id', contradiction: null, user: 'ana' });
  });

  it('is one’s own to see, and nobody else’s without the right to read the log', async () => {
    expect((await who(ana, second.handle)).result.traces[0]?.user).toBe('ana');
    for (const name of [second.handle, keyId, grant.id, 'oncall_nobody_1']) {
      const { status, error } = await who(ben, name);
      expect({ status, code: error?.code, hint: error?.hint }).toEqual({
        status: 404,
        code: 'not_found',
        hint: 'paste it whole, as the target wrote it',
      });
    }
  });

  it('is told by time: who was in force then, and when it was if nobody was', async () => {
    const entries = (await dora.get<AuditPage>('/v1/audit/entries')).result.entries.map(
      ({ entry }) => JSON.parse(entry) as { at: string; event: string; subject: Record<string, string> },
    );
    const issuedAt = (handle: string) =>
      entries.find(({ event, subject }) => event === 'credential.issuing' && subject.handle === handle)!.at;
    expect(handlesOf(await who(dora, keyId, issuedAt(first.handle)))).toEqual([first.handle]);
    expect(handlesOf(await who(dora, keyId, issuedAt(second.handle)))).toContain(second.handle);
    const before = await who(dora, keyId, '2020-01-01T00:00:00.000Z');
    expect(before.error).toMatchObject({
      code: 'not_found',
      hint: expect.stringContaining(issuedAt(first.handle)),
    });
  });

  it('that says something else than the log is called out', async () => {
    const forged = [
      keyId.replace('ana', 'ben'),
      keyId.replace('ana', 'ana/gr_0000000000000000000/../../ben'),
      `ID eve/${grant.id}/P1-1 (serial ${first.handle})`,
      `ID ana/gr_0000000000000000000/P1-1 (serial ${first.handle})`,
      `oncall_ben_${second.credentialId.slice(3)}`,
    ];
    const found = await Promise.all(forged.map((name) => who(dora, name)));
    expect(
      found.map(({ result }) =>
        result.traces.map(({ user, contradiction }) => [user, contradiction !== null]),
      ),
    ).toEqual([[['ana', true]], [['ana', true]], [['ana', true]], [['ana', true]], [['ana', true]]]);
  });

  it.each([
    `'; drop table grants; --`,
    '%00',
    '\u001b[2J\u202e',
    '../../etc/passwd',
    'a'.repeat(512),
    'gr_'.repeat(170),
    'ana',
    'db-host',
    'P1-1',
    '(serial 99999999999999999999)',
  ])('of no login, %j, is not found', async (name) => {
    expect((await who(dora, name)).error?.code).toBe('not_found');
  });

  it('is refused where it has no end, or a time is none', async () => {
    expect((await who(dora, 'a'.repeat(513))).error?.code).toBe('invalid_request');
    expect((await who(dora, '')).error?.code).toBe('invalid_request');
    expect((await who(dora, keyId, 'yesterday')).error?.code).toBe('invalid_request');
    expect((await who(dora, keyId, '2026-99-99T00:00:00.000Z')).error?.code).toBe('invalid_request');
  });

  it('that was mistyped brings the nearest to those who may know', async () => {
    const { handle } = second;
    const typo = `${handle.slice(0, -1)}${handle.endsWith('1') ? '2' : '1'}`;
    expect((await who(dora, typo)).error?.hint).toBe(`did you mean ${handle}`);
    expect((await who(ben, typo)).error?.hint).not.toContain(handle);
  });
});
