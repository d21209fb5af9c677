// The AWS account from its guide to its end, with Debian's own aws as the tool and a strict fake of the account: by `oncall run`,
// by a plain profile, in the console. The tests are one story, in order.
import { chmodSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { GrantView } from '../../src/protocol/messages.ts';
import { callWith, doAsAdmin } from '../issuers/aws-world.ts';
import { atEnd } from '../support/at-end.ts';
import { ACCOUNT, type FakeAws, type FakeSession, startFakeAws } from '../support/fakes/aws.ts';
import { part } from '../support/parts.ts';
import { cleanEnvironment, ONCALL, startProcess } from '../support/process.ts';
import { runCliTty } from '../support/pty.ts';
import { tempDir } from '../support/temp.ts';
import { createWorld, errorOf, type Json, PEOPLE, succeeded, type World } from './world.ts';

const ALIASES = ['iam', 'list-account-aliases', '--output', 'text', '--query', 'AccountAliases'];

describe.skipIf(!part('aws'))('an AWS account', () => {
  let aws: FakeAws;
  let world: World;
  const home = join(tempDir(), "Ana's Ruiz");
  const env = {
    HOME: home,
    ONCALL_HOME: undefined,
    PATH: `${join(home, 'bin')}:${cleanEnvironment(home).PATH}`,
  };
  const ana = (args: string, more: readonly string[] = []) => world.as('ana', args, { env }, more);

  /** Plain aws, as any shell of hers would start it. */
  async function plain(profile: string, more: Json = {}) {
    const child = startProcess(
      '/usr/bin/aws',
      ['--profile', profile, '--endpoint-url', aws.url, ...ALIASES],
      { env: { PATH: env.PATH, HOME: home, LANG: 'C.UTF-8', ONCALL_AGENT: 'off', ...more }, input: '' },
    );
    const { code } = await child.ended;
    return { code, stdout: child.stdout(), stderr: child.stderr() };
  }

  beforeAll(async () => {
    mkdirSync(join(home, 'bin'), { recursive: true });
    writeFileSync(join(home, 'bin', 'oncall'), `#!/bin/sh\nexec '${process.execPath}' '${ONCALL}' "$@"\n`);
    chmodSync(join(home, 'bin', 'oncall'), 0o755);
    // What is global, such as IAM, is signed for this region, also where an endpoint is given by hand.
    aws = await startFakeAws({ region: 'us-east-1' });
    atEnd(() => aws.close());
    world = await createWorld(`${PEOPLE}
resources:
  prod:
    type: aws
    service: orders
    environment: production
    sensitivity: medium
    session: { default: 2h, max: 4h, maxExtensions: 4 }
    region: ${aws.region}
    endpoints: { sts: "${aws.url}", iam: "${aws.url}", signIn: "${aws.signIn}" }
    broker: { accessKeyId: ${aws.key.accessKeyId}, secretAccessKey: { file: secrets/prod } }
    roles:
      read: { arn: "arn:aws:iam::${ACCOUNT}:role/oncall-read", allow: ["iam:List*"] }
      admin: { arn: "arn:aws:iam::${ACCOUNT}:role/oncall-admin" }
`);
    world.write('secrets/prod', `${aws.key.secretAccessKey}\n`);
  }, 60_000);

  it('is brought in by what the broker prints, and the check says so', async () => {
    expect((await world.operator('broker target prod --check')).code).toBe(1);
    const { steps } = succeeded(await world.operator('broker target prod --json')).json() as {
      steps: { text: string }[];
    };
    doAsAdmin(aws, steps.map(({ text }) => text).join('\n'));
    const checked = succeeded(await world.operator('broker target prod --check --json')).json();
    expect(checked).toMatchObject({ ok: true });
    succeeded(await world.operator('broker check'));
    await world.serve();
    await world.enroll('dora');
    succeeded(await ana(`enroll ${await world.invite('ana')} --keystore file`));
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
  }, 120_000);

  it('lets aws in by oncall run, with no secret in its environment', async () => {
    // What a shell may have from other work: it must not get in the way.
    const theirs = {
      AWS_PROFILE: 'mine',
      AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
      AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY',
      AWS_DEFAULT_REGION: 'eu-south-1',
    };
    const command = ['--', '/usr/bin/aws', '--endpoint-url', aws.url, ...ALIASES];
    const options = { env: { ...env, ...theirs } };
    const { code, stdout, stderr } = await world.as('ana', 'run prod --incident P1-123', options, command);
    expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: 'orders-prod\n' });
    const session = aws.sessions.at(-1)!;
    expect(session).toMatchObject({
      role: 'oncall-read',
      sourceIdentity: expect.stringMatching(/^oncall-ana-/),
    });
    const environment = succeeded(await ana('run prod', ['--', 'env'])).stdout;
    expect(environment).toContain('AWS_PROFILE=prod-oncall:read\n');
    for (const secret of secretsOf(session)) expect(environment).not.toContain(secret);
  }, 60_000);

  it('lets plain aws in by a profile of its own, beside what the person has', async () => {
    const file = join(home, '.aws', 'config');
    mkdirSync(join(home, '.aws'));
    writeFileSync(file, '[profile mine]\nregion = us-east-1\n', { mode: 0o600 });
    expect((await plain('prod-oncall')).code).not.toBe(0);
    succeeded(await ana('setup aws --write'));
    for (const profile of ['prod-oncall', 'prod-oncall:read'])
      expect(await plain(profile)).toMatchObject({ code: 0, stdout: 'orders-prod\n' });
    const text = readFileSync(file, 'utf8');
    expect(text).toContain(`[profile prod-oncall]\nregion = ${aws.region}\n`);
    for (const secret of aws.sessions.flatMap(secretsOf)) expect(text).not.toContain(secret);
  }, 60_000);

  it('prints the documented answer to a tool that asks, and no more', async () => {
    const answer = succeeded(await ana('credential prod --format aws-process')).stdout;
    const { accessKeyId, secretAccessKey, sessionToken } = aws.sessions.at(-1)!;
    expect(JSON.parse(answer)).toEqual({
      Version: 1,
      AccessKeyId: accessKeyId,
      SecretAccessKey: secretAccessKey,
      SessionToken: sessionToken,
      Expiration: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/),
    });
  }, 60_000);

  it('goes on with what is held while the broker is away', async () => {
    await world.stop();
    expect(await plain('prod-oncall')).toMatchObject({ code: 0, stdout: 'orders-prod\n', stderr: '' });
    await world.serve();
  }, 60_000);

  it('opens its console: printed where nobody looks, in a browser where there is one', async () => {
    const { code, stdout, stderr } = await ana('console prod');
    expect({ code, stderr }).toMatchObject({ code: 0 });
    const answer = await fetch(stdout.trim(), { redirect: 'manual' });
    expect(answer.status).toBe(302);
    expect(answer.headers.get('location')).toContain(
      `console.aws.amazon.com/console/home?region=${aws.region}`,
    );
    expect(await answer.text()).toMatch(/assumed-role\/oncall-read\/oncall-ana-/);
    for (const secret of secretsOf(aws.sessions.at(-1)!))
      expect(stdout + stderr).not.toContain(encodeURIComponent(secret));

    // A browser that writes down what anybody could see of it, and where it was led.
    const browser = `fetch(process.argv[1], { redirect: 'manual' }).then((r) => {
      require('node:fs').writeFileSync(process.env.HOME + '/led', r.headers.get('location') ?? '');
    })`;
    writeFileSync(
      join(home, 'bin', 'xdg-open'),
      `#!/bin/sh\necho "$*" > "$HOME/opened"\nexec '${process.execPath}' -e "${browser}" "$1"\n`,
    );
    chmodSync(join(home, 'bin', 'xdg-open'), 0o755);
    const shown = await runCliTty(['console', 'prod'], { home, env: { ...env, DISPLAY: ':0' } });
    expect(shown).toMatchObject({ code: 0 });
    expect(shown.text).not.toContain('SigninToken');
    expect(readFileSync(join(home, 'opened'), 'utf8')).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/[\w-]{22}\n$/);
    const led = new URL(readFileSync(join(home, 'led'), 'utf8'));
    expect(led.searchParams.get('SigninToken')).toBeTruthy();
  }, 60_000);

  it('ends with the grant: plain aws says how to ask again, and what was kept is denied', async () => {
    const kept = aws.sessions.filter(({ name }) => name.startsWith('oncall-ana-'));
    const last = kept.at(-1)!;
    expect(await callWith(aws, last)).toBe('let in');
    const released = succeeded(await ana('release prod --json')).json() as { grants: GrantView[] };
    for (const session of kept) expect(await callWith(aws, session)).toBe('AccessDenied');
    const refused = await plain('prod-oncall');
    expect(refused.code).not.toBe(0);
    expect(refused.stderr).toContain('oncall request prod');
    const credentials = released.grants.flatMap((grant) => grant.credentials);
    expect(credentials.length).toBeGreaterThan(0);
    for (const { state, proof } of credentials) {
      expect(state).toBe('ending');
      expect(proof).toMatch(/expires-at .*deny attached.*not proven/);
    }
  }, 60_000);

  it('opens no console that could outlive its window, and none where there is none to open', async () => {
    succeeded(await ana('request prod --incident P1-123 --for 10m'));
    const refused = await ana('console prod --json');
    expect(refused.code).toBe(3);
    expect(errorOf(refused)).toBe('denied');
    expect(refused.stdout).toBe('');
    succeeded(await ana('release prod'));
    expect((await ana('console prod')).code).toBe(1);
  }, 60_000);

  it('has left no secret of AWS at the broker, and no call that AWS would not take', () => {
    const files = readdirSync(world.directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'latin1'));
    const all = [...files, world.broker().output()].join('\n');
    for (const { secretAccessKey, sessionToken } of aws.sessions) {
      expect(all).not.toContain(secretAccessKey);
      expect(all).not.toContain(sessionToken);
    }
    expect(aws.complaints).toEqual([]);
  });
});

function secretsOf({ secretAccessKey, sessionToken }: FakeSession): string[] {
  return [secretAccessKey, sessionToken];
}
