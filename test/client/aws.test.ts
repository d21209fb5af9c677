// What the engineer's machine makes of an AWS session: files for tools, and the console. A broker that lies gets nothing out of it.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { HeldCredential } from '../../src/client/credentials.ts';
import { environmentFor, wipeSessionFiles, writeSessionFiles } from '../../src/client/session-files.ts';
import { grantFolder, joinedFile } from '../../src/client/session-paths.ts';
import { AWS } from '../../src/client/targets/aws.ts';
import type { Held, PartOf } from '../../src/client/targets/client-target.ts';
import { beginToolFiles, followSession, toolLines } from '../../src/client/tool-files.ts';
import { atEnd } from '../support/at-end.ts';
import { part as machineHas } from '../support/parts.ts';
import { startProcess } from '../support/process.ts';
import { failureOf, GRANT_ID, testContext } from './fixture.ts';

const SECRET = {
  accessKeyId: 'ASIAIOSFODNN7EXAMPLE',
  secretAccessKey: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
  sessionToken: 'FwoGZXIvYXdzEJr//////////wEaDExampleToken==',
};
const PART: PartOf<'aws'> = {
  kind: 'aws',
  sealed: 'sealed',
  role: 'arn:aws:iam::123456789012:role/oncall-read',
  region: 'eu-west-1',
  sessionEndsAt: '2026-01-05T09:15:00.000Z',
  signIn: 'https://signin.aws.amazon.com/federation',
  console: 'https://console.aws.amazon.com/console/home?region=eu-west-1',
};
const OTHER_GRANT = GRANT_ID.replace(/.$/, (last) => (last === '0' ? '1' : '0'));

function held(change: Partial<Held<'aws'>> = {}, part: Partial<PartOf<'aws'>> = {}): Held<'aws'> {
  return {
    grantId: GRANT_ID,
    credentialId: 'cr_1',
    target: { resource: 'prod', role: 'read' },
    handle: 'oncall-ana-1',
    secret: { kind: 'aws', ...SECRET },
    publicPart: { ...PART, ...part },
    lifeSeconds: 900,
    receivedAtMs: 0,
    expiresAt: '2026-01-05T09:10:00.123Z',
    ...change,
  };
}

describe('what was sealed', () => {
  const unsealing = async (text: string) => {
    const { secretFor } = await AWS.createMaterial();
    return secretFor(PART, async () => Buffer.from(text));
  };

  test('is read as credentials', async () => {
    expect(await unsealing(JSON.stringify(SECRET))).toEqual({ kind: 'aws', ...SECRET });
  });

  test.each([
    'not JSON',
    'null',
    '[]',
    JSON.stringify({ ...SECRET, sessionToken: undefined }),
    JSON.stringify({ ...SECRET, accessKeyId: 7 }),
    JSON.stringify({ ...SECRET, secretAccessKey: `${SECRET.secretAccessKey}\naws_access_key_id = x` }),
    JSON.stringify({ ...SECRET, sessionToken: 'a b' }),
  ])('is refused where it is %s', async (text) => {
    expect(await failureOf(unsealing(text))).toMatchObject({ code: 'corrupt_file' });
  });
});

describe('files for tools', () => {
  test.each([
    [{}, { region: 'eu-west-1\ncredential_process = rm' }],
    [{}, { region: '' }],
    [{ target: { resource: 'prod]\n[default', role: 'read' } }, {}],
    [{ target: { resource: 'prod', role: 'read $(id)' } }, {}],
  ])('hold nothing that would break out of them: %j %j', async (change, part) => {
    const { paths } = testContext();
    expect(await failureOf(writeSessionFiles(paths, [held(change, part)]))).toMatchObject({
      code: 'corrupt_file',
    });
  });

  test('keep secrets out of the environment, whatever is there already', async () => {
    const { paths } = testContext();
    const env = environmentFor(paths, [held()]);
    expect(env).toMatchObject({
      AWS_PROFILE: 'prod-oncall:read',
      AWS_REGION: 'eu-west-1',
      AWS_ACCESS_KEY_ID: '',
    });
    for (const secret of Object.values(SECRET)) expect(JSON.stringify(env)).not.toContain(secret);
    expect(AWS.secretEnvironment(held().secret)).toEqual({
      AWS_ACCESS_KEY_ID: SECRET.accessKeyId,
      AWS_SECRET_ACCESS_KEY: SECRET.secretAccessKey,
      AWS_SESSION_TOKEN: SECRET.sessionToken,
    });
  });

  test('say by this machine’s clock how long they are good, whatever the broker’s says', async () => {
    const { paths } = testContext();
    const receivedAtMs = Date.parse('2030-01-01T00:00:00.000Z');
    await writeSessionFiles(paths, [held({ receivedAtMs })]);
    const text = readFileSync(join(grantFolder(paths, GRANT_ID), 'aws-process.json'), 'utf8');
    expect(JSON.parse(text)).toMatchObject({ Expiration: '2030-01-01T00:15:00Z' });
    expect(AWS.goodUntilMs?.(text)).toBe(receivedAtMs + 900_000);
    for (const damaged of ['', 'null', '{}', '{"Expiration":"soon"}'])
      expect(AWS.goodUntilMs?.(damaged)).toBe(0);
  });

  test('name each profile once, the newest grant first, and are gone with the last', async () => {
    const { paths } = testContext();
    const [older, newer] = [GRANT_ID, OTHER_GRANT].sort() as [string, string];
    const both: HeldCredential[] = [
      held({ grantId: older, target: { resource: 'prod', role: 'read' } }),
      held({ grantId: newer, target: { resource: 'prod', role: 'admin' } }, { region: 'us-east-2' }),
    ];
    await writeSessionFiles(paths, both);
    const file = joinedFile(paths, 'aws_config');
    const text = readFileSync(file, 'utf8');
    const headers = [...text.matchAll(/^\[profile (.*)\]$/gm)].map(([, name]) => name);
    expect(headers).toEqual(['prod-oncall', 'prod-oncall:admin', 'prod-oncall:read']);
    expect(text).toMatch(/^\[profile prod-oncall\]\nregion = us-east-2\n/);
    expect(environmentFor(paths, both).AWS_CONFIG_FILE).toBe(file);
    for (const id of [older, newer]) await wipeSessionFiles(paths, id);
    expect(await failureOf(Promise.resolve().then(() => readFileSync(file)))).toMatchObject({
      code: 'ENOENT',
    });
  });

  test('are read by aws, several at once', async (context) => {
    if (!machineHas('aws')) return context.skip();
    const { paths } = testContext();
    const receivedAtMs = Date.now();
    const dev = { grantId: OTHER_GRANT, target: { resource: 'dev', role: 'read' }, receivedAtMs };
    const both = [held({ receivedAtMs }), held(dev)];
    await writeSessionFiles(paths, both);
    const env = {
      PATH: '/usr/bin:/bin',
      ...environmentFor(paths, both),
    };
    const words = ['configure', 'export-credentials', '--format', 'process'];
    for (const profile of ['prod-oncall', 'dev-oncall:read']) {
      const child = startProcess('/usr/bin/aws', [...words, '--profile', profile], { env, input: '' });
      const { code } = await child.ended;
      expect({ code, stderr: child.stderr() }).toEqual({ code: 0, stderr: '' });
      expect(JSON.parse(child.stdout())).toMatchObject({ Version: 1, SessionToken: SECRET.sessionToken });
    }
  });

  test('of another installation have names of their own', async () => {
    const context = testContext({ profile: 'staging' });
    await beginToolFiles(context.paths);
    await writeSessionFiles(context.paths, [held()]);
    await followSession(context, [held()]);
    expect(toolLines(context.paths, 'aws_config')).toEqual([
      '[profile prod-oncall@staging]',
      'region = eu-west-1',
      'credential_process = oncall credential prod --format aws-process --profile staging',
      '',
      '[profile prod-oncall:read@staging]',
      'region = eu-west-1',
      'credential_process = oncall credential prod:read --format aws-process --profile staging',
    ]);
    await wipeSessionFiles(context.paths, GRANT_ID);
    await followSession(context);
    expect(toolLines(context.paths, 'aws_config').filter((line) => line.startsWith('region'))).toEqual([]);
    expect(context.warnings).toEqual([]);
  });
});

describe('the console', () => {
  async function signIn(status: number, body: string) {
    const asked: URL[] = [];
    const server = createServer((request, response) => {
      asked.push(new URL(request.url ?? '/', 'http://fake'));
      response.writeHead(status).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    atEnd(() => void server.close());
    return { asked, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/federation` };
  }
  const open = (part: Partial<PartOf<'aws'>>) =>
    AWS.console!.open(held({}, part), { trust: { ca: 'system' }, env: {}, now: Date.now, signal: undefined });

  test('is opened by a token that the session was given in exchange, and asks for no length of its own', async () => {
    const { asked, url } = await signIn(200, JSON.stringify({ SigninToken: 'a&b=c' }));
    const link = new URL(await open({ signIn: url }));
    expect([...asked[0]!.searchParams.keys()]).toEqual(['Action', 'Session']);
    expect(JSON.parse(asked[0]!.searchParams.get('Session') ?? '')).toEqual({
      sessionId: SECRET.accessKeyId,
      sessionKey: SECRET.secretAccessKey,
      sessionToken: SECRET.sessionToken,
    });
    expect(Object.fromEntries(link.searchParams)).toEqual({
      Action: 'login',
      Destination: PART.console,
      SigninToken: 'a&b=c',
    });
    for (const secret of Object.values(SECRET)) expect(decodeURIComponent(link.href)).not.toContain(secret);
  });

  test.each([
    [403, 'Forbidden', 'target_refused'],
    [400, '', 'target_refused'],
    [500, '', 'target_unreachable'],
    [200, 'not JSON', 'target_refused'],
    [200, '{"SigninToken":""}', 'target_refused'],
    [200, '{"SigninToken":7}', 'target_refused'],
    [302, '', 'target_refused'],
  ])('that answers %i %j is not opened', async (status, body, code) => {
    const { url } = await signIn(status, body);
    const error = await failureOf(open({ signIn: url }));
    expect(error).toMatchObject({ code });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('Session=');
  });

  test.each([
    { signIn: 'http://signin.aws.amazon.com/federation' },
    { signIn: 'javascript:alert(1)' },
    { signIn: '' },
  ])('sends no secret to %j', async (part) => {
    expect(await failureOf(open(part))).toMatchObject({ code: 'corrupt_file' });
  });

  test('that cannot be reached says so', async () => {
    expect(await failureOf(open({ signIn: 'http://127.0.0.1:1/federation' }))).toMatchObject({
      code: 'target_unreachable',
    });
  });
});
