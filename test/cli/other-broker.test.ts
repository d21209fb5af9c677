// A broker of another version than the command line: whatever they don't understand of each other, it is said which side is older.
import { beforeAll, describe, expect, it } from 'vitest';
import { saveConfig } from '../../src/client/config.ts';
import { createDeviceKeys } from '../../src/client/device-key.ts';
import { openKeystore } from '../../src/client/keystore.ts';
import { testContext } from '../client/fixture.ts';
import { Raw, Refused, startTestBroker, type TestBroker } from '../client/test-broker.ts';
import { install } from '../support/installation.ts';
import { runCli } from '../support/process.ts';

let broker: TestBroker;
let env: Record<string, string | undefined>;

beforeAll(async () => {
  broker = await startTestBroker();
  const context = testContext();
  const { record, keyId, signingKey } = await createDeviceKeys();
  await (await openKeystore('file', context)).save(keyId, record);
  broker.devices.set(keyId, signingKey);
  const device = { id: 'dev_1', keyId, name: 'laptop', keystore: 'file' as const };
  await saveConfig(context.paths, { ...broker.trust, version: 1, user: 'ana', device });
  env = { ONCALL_HOME: context.env.ONCALL_HOME };
});

const NEWER = '99.1.0';
const OLDER = '0.0.1';

describe.each([
  [NEWER, `update this machine: npm install --global --ignore-scripts oncall@${NEWER}`],
  [OLDER, 'update the broker, on its host: npm install'],
])('a broker that runs %s', (version, hint) => {
  async function expectHint(words: string): Promise<void> {
    broker.version = version;
    const { code, stderr } = await runCli(words.split(' '), { env });
    expect(code).not.toBe(0);
    expect(stderr).toContain(hint);
    expect(stderr).not.toContain('something went wrong');
  }

  it('and knows nothing of what it is asked', async () => {
    broker.routes.delete('GET /v1/resources');
    await expectHint('resources');
    await expectHint('incident declare P1-1 --service orders --priority P1');
  });

  it('and does not take the shape of what it is told', async () => {
    broker.routes.set('POST /v1/incidents', () => new Refused({ status: 422, code: 'invalid_request' }));
    await expectHint('incident declare P1-1 --service orders --priority P1');
  });

  it('and refuses with a code that has no meaning here, or answers without a proof', async () => {
    broker.routes.set('POST /v1/incidents', () => new Refused({ status: 409, code: 'moon_is_full' }));
    await expectHint('incident declare P1-1 --service orders --priority P1');
    broker.routes.set('POST /v1/incidents', () => new Raw(200, '{"outcome":{}}'));
    await expectHint('incident declare P1-1 --service orders --priority P1');
  });

  it('whose own hint is the better one is left to say it', async () => {
    broker.version = version;
    const refusal = { status: 404, code: 'not_found', hint: 'oncall resources lists them' };
    broker.routes.set('GET /v1/resources', () => new Refused(refusal));
    const { stderr } = await runCli(['resources'], { env });
    expect(stderr).toContain('oncall: hint: oncall resources lists them');
  });
});

describe('a version that says nothing', () => {
  it.each([undefined, '0.0.0-source', 'x\u001b[2J', '1.2.3; rm -rf /'])(
    '%j is no reason for a hint',
    async (version) => {
      broker.version = version === 'x\u001b[2J' ? 'x' : version;
      broker.routes.delete('GET /v1/resources');
      const { stderr } = await runCli(['resources'], { env });
      expect(stderr).not.toContain('update');
    },
  );
});

it('a broker whose words would steer a terminal is shown as it writes', async () => {
  const words = '\u001b[2J\u001b]0;pwned\u0007\u009b31m\u202etxt.exe\r\nfake: ok';
  const texts = {
    id: words,
    source: words,
    priority: words,
    service: words,
    title: words,
    declaredBy: words,
  };
  const times = { startedAt: words, confirmedAt: null, resolvedAt: null };
  const incident = { ...texts, ...times, state: 'open', assignees: [words], url: words };
  broker.routes.set('GET /v1/incidents', () => ({ incidents: [incident] }));
  broker.routes.set(
    'GET /v1/resources',
    () => new Refused({ status: 403, code: 'denied', message: words, hint: words }),
  );
  broker.version = undefined;
  for (const args of ['incident list', 'incident list --json', 'resources', 'resources --json']) {
    const { stdout, stderr } = await runCli(args.split(' '), { env, isLiedTo: true });
    expect((stdout + stderr).replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/);
    expect(stdout + stderr).toContain('pwned');
    expect(stdout + stderr).not.toMatch(/^fake: ok/m);
  }
});

it('is in every reply of the real broker, refusals included', async () => {
  const real = await install();
  await real.start({ version: '1.2.3' });
  for (const path of ['/healthz', '/v1/identity', '/v1/me', '/nowhere']) {
    const { headers } = await fetch(`${real.url}${path}`);
    expect(headers.get('oncall-version')).toBe('1.2.3');
  }
});
