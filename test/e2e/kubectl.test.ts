// kubectl on a cluster brought in by what the broker prints: through run, and plain kubectl after `oncall setup`, with a grant
// and without one. The API server is the strict fake, kubectl the real one. The tests are one story, in order.
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { type Cluster, callCluster, startCluster } from '../support/kubernetes-cluster.ts';
import { part } from '../support/parts.ts';
import { ONCALL, startProcess } from '../support/process.ts';
import { runCliTty } from '../support/pty.ts';
import { tempDir, waitFor } from '../support/temp.ts';
import { createWorld, errorOf, type Json, PEOPLE, succeeded, type World } from './world.ts';

const CATALOGUE = (server: string) => `${PEOPLE}
resources:
  prod:
    type: kubernetes
    service: orders
    environment: production
    sensitivity: medium
    connection: { server: "${server}", ca: cluster-ca.pem }
    broker: { token: { file: secrets/prod } }
    roles:
      read: { clusterRole: view, namespace: orders }
      edit: { clusterRole: edit, namespace: orders }
`;
const GET_PODS = ['get', 'pods', '--output', 'name'];

describe.skipIf(!part('kubectl'))('kubectl', () => {
  const home = join(tempDir(), 'Anä Ruiz');
  const env = { HOME: home, ONCALL_HOME: undefined, SHELL: '/bin/bash' };
  const path = `${join(home, 'bin')}:/usr/local/bin:/usr/bin:/bin`;
  const runDir = join(home, '.local', 'state', 'oncall', 'run');
  let cluster: Cluster;
  let world: World;
  let token = '';
  const ana = (args: string, more: string[] = []) =>
    world.as('ana', args, { env: { ...env, PATH: path } }, more);

  /** A program as people start it, in a shell that has read its start-up file. */
  async function inShell(words: readonly string[], more: Json = {}) {
    const script = `. "$HOME/.bashrc"; "$0" "$@"`;
    const child = startProcess('bash', ['-c', script, ...words], {
      env: { PATH: path, HOME: home, SHELL: '/bin/bash', ...(more as Record<string, string>) },
      input: '',
    });
    const { code } = await child.ended;
    return { code, stdout: child.stdout(), stderr: child.stderr() };
  }
  const kubectl = (...args: string[]) => inShell(['kubectl', '--context', 'prod', ...args]);

  /** What the guide says, done by an admin of the cluster with kubectl. */
  async function asAdmin(text: string): Promise<string> {
    const config = join(tempDir(), 'config');
    const [ca, name] = [Buffer.from(cluster.ca).toString('base64'), 'admin'];
    writeFileSync(
      config,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name, cluster: { server: cluster.url, 'certificate-authority-data': ca } }],
        users: [{ name, user: { token: cluster.adminToken } }],
        contexts: [{ name, context: { cluster: name, user: name } }],
        'current-context': name,
      }),
    );
    // The fake has no schema to hold it against.
    const script = text.replaceAll('kubectl apply', 'kubectl apply --validate=false');
    const child = startProcess('sh', ['-eu'], {
      env: { PATH: path, HOME: home, KUBECONFIG: config },
      input: script,
    });
    const { code } = await child.ended;
    expect({ code, stderr: child.stderr() }).toEqual({ code: 0, stderr: '' });
    return child.stdout();
  }

  beforeAll(async () => {
    mkdirSync(join(home, 'bin'), { recursive: true });
    writeFileSync(join(home, 'bin', 'oncall'), `#!/bin/sh\nexec '${process.execPath}' '${ONCALL}' "$@"\n`);
    chmodSync(join(home, 'bin', 'oncall'), 0o755);
    writeFileSync(join(home, '.bashrc'), '# mine\n');
    cluster = await startCluster();
    world = await createWorld(CATALOGUE(cluster.url));
    world.write('cluster-ca.pem', cluster.ca);
    await cluster.fake?.admin('POST', '/api/v1/namespaces', {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: { name: 'orders' },
    });
    await cluster.fake?.admin('POST', '/api/v1/namespaces/orders/pods', {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'checkout-1' },
      spec: {},
    });
  }, 120_000);

  it('is brought in by what the broker prints, twice, and the check finds it in order', async () => {
    const { steps } = succeeded(await world.operator('broker target prod --json')).json() as {
      steps: { text: string }[];
    };
    for (const { text } of [...steps.slice(0, 2), ...steps.slice(0, 2)]) await asAdmin(text);
    world.write('secrets/prod', await asAdmin(steps[2]!.text));
    succeeded(await world.operator('broker check'));
    const checked = await world.operator('broker target prod --check --json');
    const { requirements } = checked.json() as { requirements: { ok: boolean }[] };
    expect(requirements.filter(({ ok }) => !ok)).toEqual([]);
    expect(checked.code).toBe(0);
    await world.serve();
    await world.enroll('dora');
    succeeded(await ana(`enroll ${await world.invite('ana')} --keystore file`));
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
  }, 60_000);

  it('gets a token through run, and no secret is shown or in the environment', async () => {
    const ran = succeeded(await ana('run prod -i P1-123', ['--', 'kubectl', ...GET_PODS]));
    expect(ran.stdout).toBe('pod/checkout-1\n');
    const shown = succeeded(await ana('run prod', ['--', 'env']));
    token = ((await ana('credential prod --format json')).json() as { token: string }).token;
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    for (const text of [ran.stderr, shown.stdout, (await ana('status --json')).stdout])
      expect(text).not.toContain(token);
    expect(shown.stdout).toMatch(/^KUBECONFIG=.*\/grants\/gr_\w+\/kubeconfig$/m);
    const refused = await ana('run prod', ['--', 'kubectl', 'get', 'secrets']);
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('forbidden') });
  });

  it('acts under a name that leads back to the grant', async () => {
    const { grants } = (await ana('status --json')).json() as { grants: { id: string }[] };
    const { body } = await callCluster(
      cluster,
      token,
      'POST',
      '/apis/authentication.k8s.io/v1/selfsubjectreviews',
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'SelfSubjectReview',
      },
    );
    const { username } = (body as unknown as { status: { userInfo: { username: string } } }).status.userInfo;
    expect(username).toContain(grants[0]!.id.slice(3));
    const { grants: seen } = succeeded(await ana('grants --json')).json() as {
      grants: { credentials: { handle: string }[] }[];
    };
    expect(seen[0]!.credentials.map(({ handle }) => handle)).toContain(username);
    const bindings = [...(cluster.fake?.objects.values() ?? [])].filter(({ metadata }) =>
      metadata.name.startsWith('oncall:gr_'),
    );
    for (const name of [username, ...bindings.map(({ metadata }) => metadata.name)]) {
      expect(succeeded(await world.as('dora', `audit who ${name} --json`)).json()).toMatchObject({
        traces: [{ user: 'ana', grantId: grants[0]!.id }],
      });
    }
  });

  it('is set up beside what the person has, and works plainly while the grant lives', async () => {
    succeeded(await ana('setup kubectl --write'));
    expect(readFileSync(join(home, '.bashrc'), 'utf8')).toMatch(/^# mine\n# >>> oncall kubectl /);
    for (const context of ['prod', 'prod:read']) {
      const { code, stdout } = await inShell(['kubectl', '--context', context, ...GET_PODS]);
      expect({ code, stdout }).toEqual({ code: 0, stdout: 'pod/checkout-1\n' });
    }
    // The person's own file comes first, and a shell within a shell adds nothing.
    const shown = await inShell(['bash', '-c', '. "$HOME/.bashrc"; echo "$KUBECONFIG"']);
    expect(shown.stdout.trim().split(':')).toEqual([
      join(home, '.kube', 'config'),
      join(home, '.local', 'state', 'oncall', 'tools', shown.stdout.trim().split('/').at(-1)!),
    ]);
    for (const file of readdirSync(join(home, '.local', 'state', 'oncall', 'tools'))) {
      expect(readFileSync(join(home, '.local', 'state', 'oncall', 'tools', file), 'utf8')).not.toContain(
        token,
      );
    }
  });

  it('asks the plugin in both of its versions, and no other', async () => {
    const ask = (apiVersion: string) =>
      inShell(['oncall', 'credential', 'prod', '--format', 'kubectl'], {
        KUBERNETES_EXEC_INFO: JSON.stringify({
          apiVersion,
          kind: 'ExecCredential',
          spec: { interactive: false },
        }),
      });
    for (const version of ['v1', 'v1beta1']) {
      const { code, stdout } = await ask(`client.authentication.k8s.io/${version}`);
      const { apiVersion, kind, status } = JSON.parse(stdout) as Json & {
        status: { expirationTimestamp: string };
      };
      expect({ code, apiVersion, kind }).toEqual({
        code: 0,
        apiVersion: `client.authentication.k8s.io/${version}`,
        kind: 'ExecCredential',
      });
      const leftMs = Date.parse(status.expirationTimestamp) - Date.now();
      expect(leftMs).toBeGreaterThan(400_000);
      expect(leftMs).toBeLessThanOrEqual(600_000);
    }
    expect(await ask('client.authentication.k8s.io/v1alpha1')).toMatchObject({ code: 2, stdout: '' });
    const older = join(home, '.local', 'state', 'oncall', 'tools', 'kubeconfig.v1beta1');
    expect(await kubectl(`--kubeconfig=${older}`, ...GET_PODS)).toMatchObject({
      code: 0,
      stdout: 'pod/checkout-1\n',
    });
  });

  it.skipIf(!part('pty'))('asks a person nothing, even where its plugin is lent a terminal', async () => {
    const [file, own] = [join(tempDir(), 'passphrase'), tempDir()];
    writeFileSync(file, 'correct horse battery staple\n', { mode: 0o600 });
    const enroll = `enroll ${await world.invite('ben')} --keystore file --passphrase`;
    succeeded(await world.as('ben', enroll, { home: own, env: { ONCALL_PASSPHRASE_FILE: file } }));
    const info = { apiVersion: 'client.authentication.k8s.io/v1beta1', kind: 'ExecCredential', spec: {} };
    const { code, text } = await runCliTty(['credential', 'prod', '--format', 'kubectl'], {
      home: own,
      env: { KUBERNETES_EXEC_INFO: JSON.stringify(info) },
    });
    expect({ code, asked: text.includes('?') }).toEqual({ code: 9, asked: false });
  });

  it('goes on while the broker is down, as long as the token lives', async () => {
    await world.stop();
    expect(await kubectl(...GET_PODS)).toMatchObject({ code: 0, stdout: 'pod/checkout-1\n', stderr: '' });
    await world.serve();
  });

  it('picks up at its next call what was renewed, under another name', async () => {
    const username = (text: string) =>
      /"name":"([^"]+)"/.exec(Buffer.from(text.split('.')[1]!, 'base64url').toString())?.[1];
    succeeded(await ana('renew prod --no-extend'));
    const { token: renewed } = (await ana('credential prod --format json')).json() as { token: string };
    expect(username(renewed)).not.toBe(username(token));
    expect(await kubectl(...GET_PODS)).toMatchObject({ code: 0 });
    const printed = await inShell(['oncall', 'credential', 'prod', '--format', 'kubectl']);
    expect(JSON.parse(printed.stdout)).toMatchObject({ status: { token: renewed } });
    token = renewed;
  });

  it('is refused after release with the very token that worked, and says how to get another', async () => {
    const pods = () => callCluster(cluster, token, 'GET', '/api/v1/namespaces/orders/pods');
    expect((await pods()).status).toBe(200);
    const released = await ana('release prod --json');
    const { grants } = released.json() as { grants: { credentials: { proof: string }[] }[] };
    expect(grants[0]!.credentials.map(({ proof }) => proof)).toEqual([
      expect.stringMatching(/^proven.*may go on/),
      expect.stringMatching(/^proven.*may go on/),
    ]);
    expect((await pods()).status).toBe(403);
    const refused = await kubectl(...GET_PODS);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('oncall: hint: oncall request prod\n');
    expect(existsSync(join(runDir, 'kubeconfig'))).toBe(false);
    expect(readdirSync(join(runDir, 'grants'))).toEqual([]);
    const left = [...(cluster.fake?.objects.keys() ?? [])].filter((key) =>
      /oncall:gr_|\/oncall-[0-9a-z]{19}-/.test(key),
    );
    expect(left).toEqual([]);
  });

  it('works again with the next grant, and not when the cluster is gone', async () => {
    succeeded(await ana('request prod -i P1-123'));
    expect(await kubectl(...GET_PODS)).toMatchObject({ code: 0 });
    await cluster.fake?.stop();
    const asked = await ana('renew prod --no-extend --json');
    expect({ code: asked.code, error: errorOf(asked) }).toEqual({ code: 7, error: 'target_unreachable' });
    await cluster.fake?.start();
    succeeded(await ana('release --all'));
    const isGone = () =>
      [...(cluster.fake?.objects.keys() ?? [])].every(
        (key) => !/oncall:gr_|\/oncall-[0-9a-z]{19}-/.test(key),
      );
    await waitFor(isGone, { what: 'what was half made to go', timeoutMs: 30_000 });
  }, 60_000);

  it('is left as it was when set-up is taken back', async () => {
    succeeded(await ana('setup kubectl --remove'));
    expect(readFileSync(join(home, '.bashrc'), 'utf8')).toBe('# mine\n');
  });
});
