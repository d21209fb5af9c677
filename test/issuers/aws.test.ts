import { readFileSync } from 'node:fs';
import { AssumeRoleCommand, STSClient } from '@aws-sdk/client-sts';
import { afterAll, describe, expect, test } from 'vitest';
import { createAwsIssuer } from '../../src/issuers/aws.ts';
import type { AwsSdk } from '../../src/issuers/aws-sdk.ts';
import type { EndInput, Issued } from '../../src/issuers/issuer.ts';
import { ACCOUNT } from '../support/fakes/aws.ts';
import { verifySignature } from '../support/fakes/aws-signature.ts';
import {
  type AwsWorld,
  awsResource,
  bringIn,
  callWith,
  INSTALLATION,
  sessionOf,
  startAwsWorld,
} from './aws-world.ts';
import { codeOf, createLogin, HOSTILE, issuerContract, LIFE_MS } from './contract.ts';

const SKEW_MS = 60_000;

describe('aws', () => {
  let world: Promise<AwsWorld> | undefined;
  const shared = (): Promise<AwsWorld> => {
    world ??= startAwsWorld();
    return world;
  };
  afterAll(async () => expect((await shared()).aws.complaints).toEqual([]));

  issuerContract('aws', shared);

  /** A login that was issued, with the secret that only its device can open. */
  async function issued(
    base: AwsWorld,
    change: { role?: string; user?: string; incident?: string } = {},
    lifeMs = LIFE_MS,
  ) {
    const device = base.createDevice();
    const login = createLogin(base, change, device);
    const result = await login.issue({ lifeMs });
    const secret = device.open(result);
    return { ...login, result, secret, session: sessionOf(base.aws, secret) };
  }

  describe('a session', () => {
    test('carries a name that leads back, as source identity too, and user, grant and incident as tags', async () => {
      const { session, handle, subject } = await issued(await shared());
      expect(handle).toBe(`oncall-ada-${subject.credentialId.slice(-19)}`);
      expect(session).toMatchObject({ name: handle, sourceIdentity: handle, role: 'oncall-read' });
      expect(session.tags).toEqual({
        'oncall-user': 'ada',
        'oncall-grant': subject.grantId,
        'oncall-incident': 'P1-123',
        'oncall-broker': INSTALLATION,
      });
    });

    test('lives 15 minutes at AWS at least, and an hour at most, but can nothing after its own end', async () => {
      const base = await startAwsWorld();
      const { secret, session, result } = await issued(base, {}, 240_000);
      expect(session.expiresAtMs - session.issuedAtMs).toBeGreaterThanOrEqual(900_000);
      expect(result.publicPart).toMatchObject({ sessionEndsAt: expect.stringMatching(/Z$/) });
      base.aws.advance(235_000);
      expect(await callWith(base.aws, secret)).toBe('let in');
      base.aws.advance(10_000);
      expect(session.expiresAtMs).toBeGreaterThan(Date.now() + 245_000);
      expect(await callWith(base.aws, secret)).toBe('AccessDenied');
      const long = await issued(await shared(), {}, 86_400_000);
      expect(long.result.expiresAtMs - Date.now()).toBeLessThanOrEqual(3_601_000);
    });

    test('can do what its role allows, and assume no other', async () => {
      const base = await shared();
      const narrow = await issued(base, { role: 'rds' });
      expect(await callWith(base.aws, narrow.secret)).toBe('AccessDenied');
      // A role that everybody in the account may assume, by its own word.
      const trust = {
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
        Action: 'sts:AssumeRole',
      };
      base.aws.addRole('anybody', JSON.stringify({ Version: '2012-10-17', Statement: trust }));
      const { secret } = await issued(base);
      const client = new STSClient({ region: base.aws.region, endpoint: base.aws.url, credentials: secret });
      const RoleArn = `arn:aws:iam::${ACCOUNT}:role/anybody`;
      const command = new AssumeRoleCommand({ RoleArn, RoleSessionName: 'onwards' });
      await expect(client.send(command)).rejects.toMatchObject({ name: 'AccessDenied' });
      client.destroy();
    });

    test.each([...HOSTILE, '', '@+=,._-', 'a'.repeat(37)])(
      'of %j has names of the form that AWS takes',
      async (text) => {
        const { session, handle } = await issued(await shared(), { user: text, incident: text });
        expect(handle).toMatch(/^oncall-[\w+=,.@-]{1,37}-[0-9a-z]{19}$/);
        expect(session.tags['oncall-user']).not.toMatch(/[\u0000-\u001f"$`\\\u202e]/);
      },
    );

    test('leaves the issuer sealed: in nothing it hands out or throws is a secret', async () => {
      const base = await startAwsWorld();
      const { secret, result } = await issued(base);
      const failing = createLogin(
        base,
        {},
        { ...base.createDevice(), seal: () => Promise.reject(new Error('no key')) },
      );
      const error = await failing.issue().catch((cause: unknown) => cause);
      const texts = [JSON.stringify(result), inspectAll(error)];
      for (const value of [...Object.values(secret), ...base.aws.sessions.map((one) => one.secretAccessKey)])
        for (const text of texts) expect(text).not.toContain(value);
    });
  });

  describe('the end', () => {
    test('that came while AWS was answering holds for what comes after it', async () => {
      const base = await shared();
      const login = createLogin(base);
      await login.end();
      await login.issue();
      expect(await login.works()).toBe(false);
    });

    test('stands as attached, not proven, and is looked at again; a deny that somebody took away is not there', async () => {
      const base = await startAwsWorld();
      const login = await issued(base);
      expect(await login.prove()).toMatchObject({ state: 'unproven' });
      await login.end();
      expect(await login.prove()).toMatchObject({
        state: 'expires',
        method: expect.stringContaining('not proven'),
        expiresAtMs: login.result.expiresAtMs + SKEW_MS,
      });
      const { policies } = base.aws.roles.get('oncall-read')!;
      const [name = '', document = ''] = [...policies][0]!;
      policies.set(name, document.replace('"Deny"', '"Allow"'));
      expect(await login.prove()).toMatchObject({ state: 'unproven' });
      policies.clear();
      expect(await login.prove()).toMatchObject({ state: 'unproven' });
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'expires' });
      expect(await callWith(base.aws, login.secret)).toBe('AccessDenied');
    });

    test('of what has expired by itself calls nobody; what it left at the role goes afterwards, and nothing else', async () => {
      const base = await startAwsWorld();
      const { policies } = base.aws.roles.get('oncall-read')!;
      const other = JSON.stringify({
        Version: '2012-10-17',
        Statement: { Effect: 'Deny', Action: 's3:*', Resource: '*' },
      });
      policies.set('oncall-end-of-year', other);
      const [early, late] = [await issued(base, {}, 240_000), await issued(base, {}, 900_000)];
      await early.end();
      await late.end();
      expect(policies.size).toBe(3);
      const { expiresAtMs } = early.result;
      base.aws.calls.length = 0;
      const at = (nowMs: number) => ({ ...endOf(early), nowMs });
      await base.issuer.end(at(expiresAtMs + SKEW_MS - 1));
      expect(await early.prove({ nowMs: expiresAtMs + SKEW_MS - 1 })).toMatchObject({ state: 'expires' });
      expect(base.aws.calls).toEqual([]);
      await base.issuer.end(at(expiresAtMs + SKEW_MS));
      expect(await early.prove({ nowMs: expiresAtMs + SKEW_MS })).toMatchObject({ state: 'proven' });
      expect([...policies.keys()].filter((name) => name.includes(early.handle))).toEqual([]);
      expect(policies.size).toBe(2);
      expect(await callWith(base.aws, late.secret)).toBe('AccessDenied');
    });

    test('of fifty, one after the other, fits into the role and hits these alone', async () => {
      const base = await startAwsWorld();
      const stays = await issued(base);
      const logins = await Promise.all(
        Array.from({ length: 50 }, () => issued(base, { user: 'a.long.name@example.com' })),
      );
      for (const login of logins) await login.end();
      for (const login of logins) expect(await login.prove()).toMatchObject({ state: 'expires' });
      for (const { secret } of logins) expect(await callWith(base.aws, secret)).toBe('AccessDenied');
      expect(await callWith(base.aws, stays.secret)).toBe('let in');
      const { policies } = base.aws.roles.get('oncall-read')!;
      expect([...policies.values()].join('').length).toBeLessThan(10_240);
      const [last] = logins.slice(-1);
      await base.issuer.end({ ...endOf(last!), nowMs: Date.now() + 3_600_000 });
      expect(policies.size).toBe(0);
    }, 60_000);

    test('stays whole where putting denies together is cut off', async () => {
      const base = await startAwsWorld();
      const logins = await Promise.all(Array.from({ length: 16 }, () => issued(base)));
      for (const login of logins.slice(0, 15)) await login.end();
      base.aws.fail('DeleteRolePolicy', 'AccessDenied', 403, 1);
      expect(await codeOf(logins[15]!.end())).toBe('target_refused');
      for (const { secret } of logins) expect(await callWith(base.aws, secret)).toBe('AccessDenied');
      await logins[15]!.end();
      for (const login of logins) expect(await login.prove()).toMatchObject({ state: 'expires' });
    });

    test('by two brokers at once loses nothing', async () => {
      const base = await startAwsWorld();
      const other = createAwsIssuer({
        installation: INSTALLATION,
        resolveSecret: async () => base.aws.key.secretAccessKey,
        now: Date.now,
      });
      const logins = await Promise.all(Array.from({ length: 40 }, () => issued(base)));
      await Promise.all(
        logins.map((login, index) => (index % 2 === 0 ? login.end() : other.end(endOf(login)))),
      );
      for (const { secret } of logins) expect(await callWith(base.aws, secret)).toBe('AccessDenied');
      await other.close();
    }, 60_000);

    test('of a role that is gone is over', async () => {
      const base = await startAwsWorld();
      const login = await issued(base);
      base.aws.roles.clear();
      await login.end();
      expect(await login.prove()).toMatchObject({
        state: 'expires',
        method: expect.stringContaining('role is gone'),
      });
    });
  });

  describe('what AWS says', () => {
    test.each([
      ['Throttling', 400, 'target_unreachable'],
      ['ServiceFailure', 500, 'target_unreachable'],
      ['AccessDenied', 403, 'target_refused'],
      ['ExpiredToken', 403, 'target_refused'],
      ['MalformedPolicyDocument', 400, 'target_refused'],
      ['RegionDisabledException', 403, 'target_refused'],
    ])('%s becomes a code to act on', async (code, status, expected) => {
      const base = await startAwsWorld();
      base.aws.fail('AssumeRole', code, status);
      base.aws.fail('ListRolePolicies', code, status);
      const login = createLogin(base);
      const calls = [login.issue(), login.end(), login.prove()].map(codeOf);
      expect(await Promise.all(calls)).toEqual([expected, expected, expected]);
      base.aws.recover();
      await login.issue();
      expect(await login.works()).toBe(true);
    });

    test('nothing at all ends with the deadline', async () => {
      const base = await startAwsWorld();
      base.aws.hang('AssumeRole');
      expect(await codeOf(createLogin(base).issue({ signal: AbortSignal.timeout(200) }))).toBe(
        'target_unreachable',
      );
      await base.aws.close();
      expect(await codeOf(createLogin(base).issue())).toBe('target_unreachable');
    });

    test('of a key that was changed at both ends is forgotten', async () => {
      const base = await startAwsWorld();
      const secret = { now: 'A'.repeat(40) };
      const issuer = createAwsIssuer({
        installation: INSTALLATION,
        resolveSecret: async () => secret.now,
        now: Date.now,
      });
      const other = { ...base, issuer };
      expect(await codeOf(createLogin(other).issue())).toBe('target_refused');
      secret.now = base.aws.key.secretAccessKey;
      const login = createLogin(other);
      await login.issue();
      expect(await login.works()).toBe(true);
      await issuer.close();
      base.aws.complaints.length = 0;
    });

    test('to a broker without a key of its own comes by what the SDK finds', async () => {
      const base = await startAwsWorld();
      const resource = awsResource({ ...base.settings, broker: undefined });
      process.env.AWS_ACCESS_KEY_ID = base.aws.key.accessKeyId;
      process.env.AWS_SECRET_ACCESS_KEY = base.aws.key.secretAccessKey;
      try {
        const login = createLogin({ ...base, resource });
        await login.issue();
        expect(await login.works()).toBe(true);
      } finally {
        delete process.env.AWS_ACCESS_KEY_ID;
        delete process.env.AWS_SECRET_ACCESS_KEY;
      }
    });
  });

  describe('the check', () => {
    async function missingIn({ issuer, resource }: Pick<AwsWorld, 'issuer' | 'resource'>): Promise<string[]> {
      const found = await issuer.check(resource, AbortSignal.timeout(20_000));
      for (const { ok, fix } of found) expect(fix === undefined).toBe(ok);
      return found.filter(({ ok }) => !ok).map(({ name }) => name);
    }

    test('assumes each role for real and ends what it assumed; it leaves nothing', async () => {
      const base = await startAwsWorld({
        roles: { read: {}, admin: { arn: `arn:aws:iam::${ACCOUNT}:role/break/oncall-admin` } },
      });
      const found = await base.issuer.check(base.resource, AbortSignal.timeout(20_000));
      expect(found.map(({ name, ok }) => [name, ok])).toEqual([
        ['credentials', true],
        ['oncall-read: assumed', true],
        ['oncall-read: ending sessions', true],
        ['oncall-admin: assumed', true],
        ['oncall-admin: ending sessions', true],
      ]);
      for (const role of base.aws.roles.values()) expect(role.policies.size).toBe(0);
      for (const session of base.aws.sessions) expect(await callWith(base.aws, session)).toBe('AccessDenied');
      expect(base.aws.complaints).toEqual([]);
    });

    test.each([
      ['sts:TagSession', ['oncall-read: assumed']],
      ['sts:SetSourceIdentity', ['oncall-read: assumed']],
      ['iam:PutRolePolicy', ['oncall-read: ending sessions']],
      ['iam:GetRolePolicy', ['oncall-read: ending sessions']],
      ['iam:ListRolePolicies', ['oncall-read: ending sessions']],
      ['iam:DeleteRolePolicy', ['oncall-read: ending sessions']],
    ])('finds a broker that may not %s', async (action, expected) => {
      const base = await startAwsWorld();
      base.aws.setBrokerPolicy(
        JSON.stringify({
          Version: '2012-10-17',
          Statement: [
            { Effect: 'Allow', Action: '*', Resource: '*' },
            { Effect: 'Deny', Action: action, Resource: '*' },
          ],
        }),
      );
      expect(await missingIn(base)).toEqual(expected);
    });

    test('finds a role whose sessions are too short, a role that is not there, a wrong key, and no answer', async () => {
      const base = await startAwsWorld();
      base.aws.roles.get('oncall-read')!.maxSessionSeconds = 1_800;
      const long = awsResource(base.settings, 3_600);
      expect(await missingIn({ ...base, resource: long })).toEqual(['oncall-read: assumed']);
      base.aws.roles.clear();
      expect(await missingIn(base)).toEqual(['oncall-read: assumed', 'oncall-read: ending sessions']);
      const issuer = createAwsIssuer({
        installation: INSTALLATION,
        resolveSecret: async () => 'x'.repeat(40),
        now: Date.now,
      });
      expect(await missingIn({ ...base, issuer })).toEqual(['credentials']);
      await issuer.close();
      await base.aws.close();
      expect(await missingIn(base)).toEqual(['credentials']);
    });

    test('asks for the longest session that the guide makes', async () => {
      const base = await startAwsWorld();
      base.aws.roles.clear();
      const resource = awsResource(base.settings, 3_600);
      bringIn(base.aws, resource);
      expect(await missingIn({ ...base, resource })).toEqual([]);
    });
  });

  describe('without the SDK', () => {
    const loadSdk = (): Promise<AwsSdk> =>
      Promise.reject(Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' }));

    test('everything says the line to type, with the versions that are tested', async () => {
      const base = await startAwsWorld({ loadSdk });
      const { devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
        devDependencies: Record<string, string>;
      };
      const line = ['sts', 'iam'].map(
        (name) => `@aws-sdk/client-${name}@${devDependencies[`@aws-sdk/client-${name}`]}`,
      );
      const login = createLogin(base);
      await expect(login.issue()).rejects.toMatchObject({
        code: 'target_refused',
        hint: expect.stringContaining(line.join(' ')),
      });
      const found = await base.issuer.check(base.resource, AbortSignal.timeout(5_000));
      expect(found).toMatchObject([
        { name: 'AWS SDK', ok: false, fix: expect.stringContaining(line.join(' ')) },
      ]);
      expect(base.issuer.guide(base.resource).steps[0]?.text).toContain(line.join(' '));
    });
  });
});

describe('the fake account', () => {
  // AWS's own test suite for Signature Version 4, get-vanilla.
  const VANILLA = {
    method: 'GET',
    target: '/',
    headers: {
      host: 'example.amazonaws.com',
      'x-amz-date': '20150830T123600Z',
      authorization:
        'AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31',
    },
    body: '',
  };
  const secretOf = () => 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY';
  const then = Date.parse('2015-08-30T12:36:00Z');

  test('takes the signature of the published vector', () => {
    expect(verifySignature(VANILLA, secretOf, then + 299_000)).toEqual({
      accessKeyId: 'AKIDEXAMPLE',
      service: 'service',
      region: 'us-east-1',
    });
  });

  test.each([
    ['another body', { body: 'x' }, 0],
    ['another host', { headers: { ...VANILLA.headers, host: 'example.com' } }, 0],
    ['another path', { target: '/x' }, 0],
    ['an unsigned header', { headers: { ...VANILLA.headers, 'x-amz-security-token': 'x' } }, 0],
    ['a late clock', {}, 301_000],
    ['an early clock', {}, -301_000],
  ])('refuses it with %s', (_what, change, ms) => {
    expect(() => verifySignature({ ...VANILLA, ...change }, secretOf, then + ms)).toThrow();
  });
});

/** What the broker would call `end` with now. */
function endOf({
  subject,
  handle,
  result,
}: {
  subject: EndInput['subject'];
  handle: string;
  result: Issued;
}): EndInput {
  const { publicPart, expiresAtMs } = result;
  return { subject, handle, publicPart, expiresAtMs, nowMs: Date.now(), signal: AbortSignal.timeout(9_000) };
}

function inspectAll(error: unknown): string {
  if (!(error instanceof Error)) return JSON.stringify(error);
  return `${error.stack}${JSON.stringify(error, Object.getOwnPropertyNames(error))}${error.cause === undefined ? '' : inspectAll(error.cause)}`;
}
