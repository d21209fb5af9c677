// An AWS session from request to end: sealed on its way, renewed beside the old, denied at its role when it ends early, ended in
// the store once AWS has forgotten it, with nothing left at the role.
import { beforeAll, expect, it } from 'vitest';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import { awsGuide } from '../../src/issuers/aws-guide.ts';
import { openSealedCredential } from '../../src/protocol/credential-seal.ts';
import type {
  AuditWho,
  CredentialReply,
  GrantList,
  GrantView,
  RequestView,
} from '../../src/protocol/messages.ts';
import { callWith, doAsAdmin, type Secret } from '../issuers/aws-world.ts';
import { atEnd } from '../support/at-end.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { ACCOUNT, type FakeAws, startFakeAws } from '../support/fakes/aws.ts';
import { type Installation, install, PEOPLE } from '../support/installation.ts';
import { readLog } from '../support/one-life.ts';
import { waitFor } from '../support/temp.ts';

const SKEW_MS = 60_000;

let aws: FakeAws;
let installation: Installation;
let ana: TestDevice;
let dora: TestDevice;
let aheadMs = 0;

function catalogue(): string {
  return `${PEOPLE}
resources:
  aws-prod:
    type: aws
    service: orders
    environment: production
    sensitivity: medium
    session: { default: 1h, max: 3h, maxExtensions: 2 }
    region: ${aws.region}
    endpoints: { sts: "${aws.url}", iam: "${aws.url}", signIn: "${aws.signIn}" }
    broker: { accessKeyId: ${aws.key.accessKeyId}, secretAccessKey: { env: AWS_BROKER_KEY } }
    roles:
      read: { arn: "arn:aws:iam::${ACCOUNT}:role/oncall-read" }
`;
}

beforeAll(async () => {
  aws = await startFakeAws();
  atEnd(() => aws.close());
  const { catalogue: parsed } = parseCatalogue(catalogue(), 'catalogue.yaml', '/');
  doAsAdmin(
    aws,
    awsGuide(parsed!.resources.get('aws-prod')!)
      .steps.map(({ text }) => text)
      .join('\n'),
  );
  installation = await install({ catalogue: catalogue() });
  await installation.start({
    now: () => Date.now() + aheadMs,
    env: { AWS_BROKER_KEY: aws.key.secretAccessKey },
  });
  ana = await enrolled(installation, 'ana', nowSeconds);
  dora = await enrolled(installation, 'dora', nowSeconds);
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
});

const nowSeconds = () => Math.floor((Date.now() + aheadMs) / 1000);
const policies = () => aws.roles.get('oncall-read')!.policies;

/** Both clocks, the broker's and the account's. */
function pass(ms: number): void {
  aheadMs += ms;
  aws.advance(ms);
}

async function ask(more: object = {}): Promise<GrantView> {
  const body = { targets: [{ resource: 'aws-prod' }], incident: 'P1-1', ...more };
  return (await ana.post<RequestView>('/v1/requests', body)).result.grants[0]!;
}

async function issue(grant: string, more: object = {}): Promise<CredentialReply & { secret: Secret }> {
  const body = { material: { kind: 'aws' }, ...more };
  const { result, error } = await ana.post<CredentialReply>(`/v1/grants/${grant}/credentials`, body);
  if (result?.publicPart?.kind !== 'aws') throw new Error(`no session: ${JSON.stringify(error ?? result)}`);
  const opened = await openSealedCredential(
    ana.sealing.privateKey,
    result.credentialId,
    result.publicPart.sealed,
  );
  return { ...result, secret: JSON.parse(Buffer.from(opened).toString('utf8')) as Secret };
}

/** What the log says of a credential, oldest first. */
async function eventsOf(credential: string): Promise<string[]> {
  const entries = (await readLog(dora)).map(
    ({ entry }) => JSON.parse(entry) as { event: string; subject: Record<string, string> },
  );
  return entries
    .filter(({ subject }) => subject.credential === credential)
    .map(({ event }) => event.replace('credential.', ''));
}

async function credentialsOf(id: string): Promise<GrantView['credentials']> {
  const { result } = await ana.get<GrantList>('/v1/grants');
  return result.grants.find((grant) => grant.id === id)!.credentials;
}

/** Moves time on until it has happened: timers look at a clock that stands still in between. */
async function comesWithTime(condition: () => Promise<boolean>, what: string): Promise<void> {
  const moving = async () => {
    if (await condition()) return true;
    pass(1_000);
    return false;
  };
  await waitFor(moving, { what, timeoutMs: 25_000 });
}

it('a renewal is a session beside the old one, and the end denies both without touching anybody else', async () => {
  const grant = await ask();
  const first = await issue(grant.id);
  const second = await issue(grant.id, { renews: first.credentialId });
  expect([second.prolonged, second.handle === first.handle]).toEqual([false, false]);
  expect([await callWith(aws, first.secret), await callWith(aws, second.secret)]).toEqual([
    'let in',
    'let in',
  ]);
  await ana.post(`/v1/grants/${grant.id}/release`);
  const denied = async () =>
    (await callWith(aws, first.secret)) === 'AccessDenied' &&
    (await callWith(aws, second.secret)) === 'AccessDenied';
  await waitFor(denied, { what: 'the deny', timeoutMs: 20_000 });
  expect(policies().size).toBe(2);

  // Recorded as attached, not as proven, for as long as AWS knows the session.
  const shown = async () =>
    (await credentialsOf(grant.id)).every(({ proof }) =>
      /^expires-at .*deny attached.*not proven/.test(proof ?? ''),
    );
  await waitFor(shown, { what: 'what is recorded of the deny' });
  expect(await eventsOf(second.credentialId)).toEqual(['issuing', 'live', 'ending', 'end-unproven']);
  const next = await ask();
  const other = await issue(next.id);
  expect(await callWith(aws, other.secret)).toBe('let in');

  pass(900_000 + SKEW_MS / 2);
  expect((await credentialsOf(grant.id)).map(({ state }) => state)).toEqual(['ending', 'ending']);
  expect(await callWith(aws, second.secret)).toBe('ExpiredToken');
  pass(SKEW_MS / 2);
  await comesWithTime(
    async () => (await credentialsOf(grant.id)).every(({ state }) => state === 'ended'),
    'the end of what AWS has forgotten',
  );
  for (const { proof } of await credentialsOf(grant.id)) expect(proof).toMatch(/^proven: .*expired/);
  const all = ['issuing', 'live', 'ending', 'end-unproven', 'ended'];
  expect(await eventsOf(second.credentialId)).toEqual(all);
  expect(policies().size).toBe(0);
  await ana.post(`/v1/grants/${next.id}/release`);
}, 60_000);

it('a session whose window ends before STS would is over with the window', async () => {
  const grant = await ask({ durationSeconds: 300 });
  const { secret, expiresAt } = await issue(grant.id);
  expect(Date.parse(expiresAt)).toBeLessThanOrEqual(Date.parse(grant.endsAt));
  pass(Date.parse(expiresAt) - (Date.now() + aheadMs) - 2_000);
  expect(await callWith(aws, secret)).toBe('let in');
  pass(3_000);
  expect(await callWith(aws, secret)).toBe('AccessDenied');
}, 30_000);

it('what was denied by hand in between, or taken away by hand, is put right', async () => {
  const grant = await ask();
  const { secret } = await issue(grant.id);
  await ana.post(`/v1/grants/${grant.id}/release`);
  await waitFor(async () => (await callWith(aws, secret)) === 'AccessDenied', {
    what: 'the deny',
    timeoutMs: 20_000,
  });
  policies().clear();
  expect(await callWith(aws, secret)).toBe('let in');
  await comesWithTime(async () => (await callWith(aws, secret)) === 'AccessDenied', 'the deny again');
}, 40_000);

it('what CloudTrail says of a call leads back to whoever made it', async () => {
  const grant = await ask();
  const { handle } = await issue(grant.id);
  for (const name of [handle, `arn:aws:sts::${ACCOUNT}:assumed-role/oncall-read/${handle}`]) {
    const { result } = await dora.get<AuditWho>(`/v1/audit/who?name=${encodeURIComponent(name)}`);
    expect(result.traces).toMatchObject([
      { contradiction: null, user: 'ana', grantId: grant.id, incidents: ['P1-1'], logins: [{ handle }] },
    ]);
  }
  await ana.post(`/v1/grants/${grant.id}/release`);
});

it('an account that does not answer gives nothing, and nothing is left of the attempt', async () => {
  const grant = await ask();
  const before = aws.sessions.length;
  aws.fail('AssumeRole', 'AccessDenied', 403);
  const answer = await ana.post(`/v1/grants/${grant.id}/credentials`, { material: { kind: 'aws' } });
  expect(answer.error?.code).toBe('target_refused');
  aws.recover();
  expect(aws.sessions.length).toBe(before);
  const { secret } = await issue(grant.id);
  expect(await callWith(aws, secret)).toBe('let in');
});

it('neither log nor store holds a secret, and AWS was asked nothing that it does not take', () => {
  const held = ['oncall.db', 'oncall.db-wal'].map((file) => installation.read(file)).join('');
  for (const { secretAccessKey, sessionToken } of aws.sessions) {
    for (const secret of [secretAccessKey, sessionToken]) {
      expect(held).not.toContain(secret);
      expect(installation.log.join('\n')).not.toContain(secret);
    }
  }
  expect(aws.complaints).toEqual([]);
});
