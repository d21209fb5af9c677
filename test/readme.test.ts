// What the README shows is run as written: each block after `<!-- run: NAME -->`, by a shell, with `oncall` on the PATH.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseCatalogue } from '../src/catalogue/parse.ts';
import { enrolled } from './support/device.ts';
import { part } from './support/parts.ts';
import { cleanEnvironment, ONCALL, startProcess } from './support/process.ts';
import { installWithTarget, type Target } from './support/target.ts';
import { tempDir } from './support/temp.ts';

const README = readFileSync('README.md', 'utf8');

function block(name: string, kind = 'run', language = 'sh'): string {
  const marked = new RegExp(`<!-- ${kind}: ${name} -->\n\`\`\`${language}\n(.*?)\`\`\``, 's');
  const [, text] = marked.exec(README) ?? [];
  if (text === undefined) throw new Error(`the README has no block ${name}`);
  return text;
}

async function runBlock(name: string, home: string, env: Record<string, string> = {}) {
  return runShell(block(name), home, env);
}

async function runShell(input: string, home: string, env: Record<string, string> = {}) {
  const bin = join(home, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'oncall'), `#!/bin/sh\nexec ${process.execPath} ${ONCALL} "$@"\n`);
  chmodSync(join(bin, 'oncall'), 0o755);
  const clean = cleanEnvironment(home);
  const shell = startProcess('sh', ['-eux'], {
    env: { ...clean, ...env, PATH: `${bin}:${clean.PATH}` },
    cwd: home,
    input,
  });
  const { code } = await shell.ended;
  expect(`${shell.output()}\nexit ${code}`).toMatch(/\nexit 0$/);
  return shell.stdout();
}

interface Workflow {
  readonly jobs: Readonly<Record<string, Job>>;
}
interface Job {
  readonly env: Readonly<Record<string, string>>;
  readonly steps: readonly {
    readonly run: string;
    readonly env?: Readonly<Record<string, string>>;
    readonly if?: 'always()';
  }[];
}

/** Its one job, step by step as a runner does: each in a shell of its own, those of `always()` whatever came before. */
async function runWorkflow(text: string, home: string, values: Readonly<Record<string, string>>) {
  const [job] = Object.values((parse(text) as Workflow).jobs);
  const filled = (env: Readonly<Record<string, string>> = {}) =>
    Object.fromEntries(
      Object.entries(env).map(([name, value]) => [
        name,
        value.replace(/\$\{\{ *([\w.]+) *\}\}/g, (_, key: string) => values[key] ?? ''),
      ]),
    );
  const github = { GITHUB_RUN_ID: '4711', GITHUB_RUN_ATTEMPT: '1', GITHUB_WORKFLOW: 'count-orders' };
  let [stdout, failure]: [string, unknown] = ['', undefined];
  for (const step of job?.steps ?? []) {
    if (failure !== undefined && step.if !== 'always()') continue;
    const env = { ...github, ...filled(job?.env), ...filled(step.env) };
    await runShell(step.run, home, env).then(
      (text) => {
        stdout += text;
      },
      (error) => {
        failure ??= error;
      },
    );
  }
  if (failure !== undefined) throw failure;
  return stdout;
}

describe.skipIf(!part('psql'))('the README', () => {
  let target: Target;
  let home: string;

  beforeAll(async () => {
    target = await installWithTarget();
    await target.installation.start();
    home = tempDir();
  });

  it('shows what an engineer does', async () => {
    const dora = await enrolled(target.installation, 'dora');
    await dora.post('/v1/incidents', { id: 'P1-123', service: 'orders', priority: 'P1' });
    const agent = { ONCALL_AGENT: 'on' };
    const INVITATION = await target.installation.invite('ana');
    const stdout = await runBlock('engineer', home, { INVITATION, ...agent }).finally(() =>
      runShell('oncall agent stop || true', home, agent),
    );
    expect(stdout).toContain('granted');
    expect(stdout).toMatch(/running as \d+/);
    expect(await target.roles()).toEqual([]);
  });

  it('shows what a runbook does', async () => {
    const stdout = await runBlock('runbook', home);
    expect(stdout).toMatch(/^42$/m);
    expect(await target.roles()).toEqual([]);
  });

  it('shows what a machine without a person does: enrolled once, then a workflow', async () => {
    const runner = tempDir();
    const env = { INVITATION: await target.installation.invite('ana') };
    const enrolling = await runShell(
      `${block('runner').replace('rm passphrase', 'cat passphrase; rm passphrase')}`,
      runner,
      env,
    );
    const passphrase = enrolling.trim().split('\n').at(-1) ?? '';
    const stdout = await runWorkflow(block('workflow', 'run', 'yaml'), runner, {
      'inputs.incident': 'P1-123',
      'runner.temp': runner,
      'secrets.ONCALL_PASSPHRASE': passphrase,
    });
    expect(stdout).toMatch(/^42$/m);
    expect(await target.roles()).toEqual([]);
    expect(existsSync(join(runner, 'passphrase'))).toBe(false);
  });

  it('shows what an administrator does', async () => {
    const stdout = await runBlock('admin', tempDir());
    expect(stdout).toContain('enroll');
  });

  it('calls in .ci/run exactly what it tells people to run', () => {
    const [, command] = /```sh\n(npm ci && npm test)\n```/.exec(README) ?? [];
    expect(readFileSync('.ci/run', 'utf8').trim().split('\n').at(-1)).toBe(command);
  });
});

describe('the catalogue that the README shows', () => {
  it('loads beside people and resources, without a finding', () => {
    const text = `${PEOPLE_AND_RESOURCES}${block('on-call', 'catalogue', 'yaml')}`;
    const { catalogue, findings } = parseCatalogue(text, 'catalogue.yaml', '/');
    expect(findings).toEqual([]);
    expect([...(catalogue?.automation.keys() ?? [])]).toEqual(['orders-alert']);
    expect(catalogue?.bundles.get('orders-incident')?.targets).toEqual([
      { resource: 'db-replica', role: 'read' },
      { resource: 'db-host', role: 'operator' },
    ]);
    const trusted = [...(catalogue?.sources.values() ?? [])].filter((source) => source.trusted);
    expect(trusted.map(({ id }) => id)).toEqual(['pagerduty']);
  });
});

const PEOPLE_AND_RESOURCES = `
groups: [leads, security]
people:
  ana: { name: Ana Ruiz, ids: { pagerduty: PABC123 }, manager: carla }
  ben: { name: Ben Osei, ids: { pagerduty: PDEF456 }, groups: [leads] }
  carla: { name: Carla Maes, groups: [leads, security] }
  dora: { name: Dora Lind, groups: [security] }
resources:
  db-replica:
    type: postgres
    service: orders
    environment: production
    sensitivity: medium
    connection: { host: 127.0.0.1, port: 5432, database: orders, sslMode: verify-full, ca: pg-ca.pem }
    broker: { user: oncall_broker, password: { file: secrets/db-replica } }
    quarantineRole: oncall_quarantine
    roles: { read: { template: oncall_tpl_read } }
  db-host:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    hosts:
      - name: db-host-1
        host: 127.0.0.1
        hostKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4]
    roles: { operator: { login: ops } }
`;
