import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { brokerCheck } from '../../src/broker/commands.ts';
import { parseBrokerConfig } from '../../src/broker/config.ts';
import { install, withPostgres } from '../support/installation.ts';

const GOOD = `publicUrl: https://broker.example:7443
listen: 0.0.0.0:7443
origin: broker.example/oncall
store: { sqlite: oncall.db }
`;

const parse = (text: string) => parseBrokerConfig(text, 'broker.yaml', '/srv/oncall');
const line = (key: string, value: string) =>
  GOOD.replace(new RegExp(`^${key}: .*$`, 'm'), `${key}: ${value}`);

describe('broker.yaml', () => {
  it('in its shortest form has safe defaults, and paths inside its folder', () => {
    const { config, findings } = parse(GOOD);
    expect(findings).toEqual([]);
    expect(config).toMatchObject({
      listen: { host: '0.0.0.0', port: 7443 },
      tls: true,
      store: { kind: 'sqlite', file: '/srv/oncall/oncall.db' },
      keysDirectory: '/srv/oncall/keys',
      catalogueFile: '/srv/oncall/catalogue.yaml',
      policiesDirectory: '/srv/oncall/policies',
      limits: { requestsPerSecond: 200, maxConnections: 2000 },
      trustedProxies: [],
      logLevel: 'info',
    });
    expect(config?.publicUrl.host).toBe('broker.example:7443');
  });

  it.each([
    ['IPv6', line('listen', '"[::1]:7443"'), { host: '::1', port: 7443 }],
    ['a name', line('listen', 'localhost:80'), { host: 'localhost', port: 80 }],
  ])('takes %s to listen on', (_name, text, listen) => {
    expect(parse(text).config?.listen).toEqual(listen);
  });

  it('takes addresses and networks of proxies', () => {
    const { config } = parse(`${GOOD}trustedProxies: [192.0.2.1, 10.0.0.0/24, "2001:db8::/32"]\n`);
    expect(config?.trustedProxies).toEqual(['192.0.2.1', '10.0.0.0/24', '2001:db8::/32']);
  });

  it('takes where each broker is reached, by the scheme of their common name alone', () => {
    const { config } = parse(`${GOOD}endpoints: ["https://10.0.0.5:7443", "https://b2.example:7443/"]\n`);
    expect(config?.endpoints).toEqual(['https://10.0.0.5:7443/', 'https://b2.example:7443/']);
    for (const bad of [
      'http://127.0.0.1:7443',
      'b2.example',
      'https://b2.example/path',
      'file:///etc/passwd',
    ])
      expect(parse(`${GOOD}endpoints: ["${bad}"]\n`).config).toBeUndefined();
  });

  it('takes a PostgreSQL store whose address is kept elsewhere', () => {
    const file = parse(line('store', '{ postgres: { file: secrets/store-url } }'));
    expect(file.config?.store).toEqual({ kind: 'postgres', url: { file: '/srv/oncall/secrets/store-url' } });
    const env = parse(line('store', '{ postgres: { env: STORE_URL } }'));
    expect(env.config?.store).toEqual({ kind: 'postgres', url: { env: 'STORE_URL' } });
  });

  it.each([
    ['a typo at the top', `${GOOD}lisen: 1\n`, 'unknown key', 'listen'],
    ['a typo below', `${GOOD}limits: { requestPerSecond: 5 }\n`, 'unknown key', 'requestsPerSecond'],
    ['a key twice', `${GOOD}listen: 127.0.0.1:1\n`, '', ''],
    ['no YAML', '{ publicUrl: [', '', ''],
    ['nothing in it', '', '', ''],
    ['a list', '- a\n- b\n', '', ''],
    ['no publicUrl', GOOD.replace(/^publicUrl.*\n/, ''), 'has no publicUrl', ''],
    ['a publicUrl in the clear', line('publicUrl', 'http://broker.example'), 'publicUrl', ''],
    ['a publicUrl that looks like loopback', line('publicUrl', 'http://127.0.0.1.example'), 'publicUrl', ''],
    ['a publicUrl with a path', line('publicUrl', 'https://broker.example/oncall'), 'publicUrl', ''],
    ['a publicUrl with a password', line('publicUrl', 'https://a:b@broker.example'), 'publicUrl', ''],
    ['a publicUrl with a query', line('publicUrl', 'https://broker.example/?a'), 'publicUrl', ''],
    ['a publicUrl of another kind', line('publicUrl', 'ftp://broker.example'), 'publicUrl', ''],
    ['a port over 65535', line('listen', '127.0.0.1:65536'), 'listen', ''],
    ['no port', line('listen', '127.0.0.1'), 'listen', ''],
    ['no host', line('listen', '":7443"'), 'listen', ''],
    ['an origin with spaces', line('origin', 'my log'), 'origin', ''],
    ['an origin with a line break', line('origin', '"log\\nforged"'), 'origin', ''],
    ['no store', GOOD.replace(/^store.*\n/m, ''), 'has no store', ''],
    ['an empty store', line('store', '{}'), 'either sqlite or postgres', ''],
    ['both stores', line('store', '{ sqlite: a.db, postgres: { env: U } }'), 'either sqlite or postgres', ''],
    ['a secret written out', line('store', '{ postgres: "postgres://u:p@h/d" }'), 'postgres', ''],
    ['a secret from two places', line('store', '{ postgres: { file: a, env: B } }'), 'connection URL', ''],
    ['plain HTTP on every address', `${GOOD}tls: false\n`, 'loopback only', 'tls: true'],
    ['a limit of none', `${GOOD}limits: { maxConnections: 0 }\n`, 'maxConnections', ''],
    ['everybody as a proxy', `${GOOD}trustedProxies: [0.0.0.0/0]\n`, 'no network', '10.0.0.0/24'],
    ['a proxy by name', `${GOOD}trustedProxies: [loopback]\n`, 'no network', '10.0.0.0/24'],
    ['a network too narrow', `${GOOD}trustedProxies: ["::1/129"]\n`, 'no network', '10.0.0.0/24'],
    ['a proxy outside a list', `${GOOD}trustedProxies: 10.0.0.1\n`, 'list', ''],
    ['a log level of its own', `${GOOD}logLevel: loud\n`, 'logLevel', 'info'],
  ])('with %s is refused, with the place and what to do', (_name, text, message, hint) => {
    const { config, findings } = parse(text);
    expect(config).toBeUndefined();
    const errors = findings.filter(({ severity }) => severity === 'error');
    expect(errors[0]).toMatchObject({ file: 'broker.yaml', line: expect.any(Number) });
    const found = errors.find((finding) => finding.message.includes(message));
    expect(found, JSON.stringify(errors)).toBeDefined();
    expect(`${found?.hint ?? ''}`).toContain(hint);
    expect(JSON.stringify(findings)).not.toContain('u:p@h');
  });

  it('with TLS left to something in front is taken with a warning', () => {
    const { config, findings } = parse(`${line('listen', '127.0.0.1:7443')}tls: false\n`);
    expect(config?.tls).toBe(false);
    expect(findings.map(({ severity }) => severity)).toEqual(['warning']);
  });
});

describe('oncall broker check', () => {
  const host = {
    out: () => undefined,
    err: () => undefined,
    env: {},
    now: Date.now,
    signal: new AbortController().signal,
    program: ['node', 'oncall'],
    onReload: () => undefined,
  };
  type Checked = { ok: boolean; findings: { severity: string; message: string; hint: string | undefined }[] };
  const check = async (directory: string) => {
    const { data, lines, failure } = await brokerCheck({ directory }, host);
    return { ...(data as Checked), lines: JSON.stringify(lines), failure };
  };

  it('names a secret that is missing, and is content when it is there', async () => {
    const { directory } = await install({ catalogue: withPostgres() });
    const before = await check(directory);
    expect(before.ok).toBe(true);
    expect(before.findings).toEqual([expect.objectContaining({ severity: 'warning' })]);
    expect(before.lines).toContain('db-replica');
    expect(before.lines).toContain('secrets/db-replica');
    mkdirSync(join(directory, 'secrets'), { mode: 0o700 });
    writeFileSync(join(directory, 'secrets', 'db-replica'), 'hush-hush', { mode: 0o600 });
    const after = await check(directory);
    expect(after).toMatchObject({ ok: true, findings: [], failure: undefined });
    expect(after.lines).not.toContain('hush-hush');
    chmodSync(join(directory, 'secrets', 'db-replica'), 0o644);
    expect((await check(directory)).lines).toContain('others can read');
  });

  it('names the secrets and certificates of sources and channels that are missing, and never a secret', async () => {
    const catalogue = `${withPostgres()}
sources:
  pagerduty: { type: pagerduty, token: { file: secrets/pd }, webhookSecrets: [{ env: PD_WEBHOOK }] }
  alertmanager: { type: alertmanager, clientCertificate: { ca: am-ca.pem, names: [am] } }
notify:
  chat: { type: slack, webhook: { file: secrets/slack } }
`;
    const { directory } = await install({ catalogue });
    const about = async () => (await check(directory)).findings.map(({ message }) => message).join('\n');
    const before = await about();
    for (const part of [
      'source pagerduty',
      'secrets/pd',
      'PD_WEBHOOK',
      'am-ca.pem',
      'channel chat',
      'secrets/slack',
    ])
      expect(before).toContain(part);
    mkdirSync(join(directory, 'secrets'), { mode: 0o700 });
    writeFileSync(join(directory, 'secrets', 'pd'), 'hush-hush', { mode: 0o600 });
    writeFileSync(join(directory, 'am-ca.pem'), 'x');
    const after = await about();
    expect(after).not.toMatch(/secrets\/pd|am-ca\.pem|hush-hush/);
    expect(after).toContain('PD_WEBHOOK');
  });

  it('fails for a catalogue or a policy that is wrong, after showing all of it', async () => {
    const installation = await install({ catalogue: withPostgres() });
    installation.write('catalogue.yaml', withPostgres().replace('defaultRole: read', 'defaultRole: reed'));
    const wrong = await check(installation.directory);
    expect(wrong.ok).toBe(false);
    expect(wrong.failure?.code).toBe('check_failed');
    expect(wrong.lines).toContain('reed');
    installation.write('catalogue.yaml', withPostgres());
    installation.write('policies/starter.cedar', 'permit (principal, action == Action::"grnat", resource);');
    expect((await check(installation.directory)).lines).toMatch(/starter\.cedar:1:\d+/);
  });

  it.each(['identity.key', 'log.key', 'ssh-ca.key', 'x509-ca.key'])(
    'refuses a lost or open %s',
    async (name) => {
      const { directory } = await install();
      const file = join(directory, 'keys', name);
      const key = readFileSync(file);
      chmodSync(file, 0o640);
      await expect(check(directory)).rejects.toMatchObject({ code: 'unsafe_file' });
      rmSync(file);
      await expect(check(directory)).rejects.toMatchObject({ code: 'config_invalid' });
      writeFileSync(file, key.subarray(0, 40), { mode: 0o600 });
      await expect(check(directory)).rejects.toMatchObject({ code: 'config_invalid' });
    },
  );
});
