import { describe, expect, test } from 'vitest';
import { resolvePaths } from '../../src/client/paths.ts';
import type { Held } from '../../src/client/targets/client-target.ts';
import { KUBERNETES } from '../../src/client/targets/kubernetes.ts';
import { isAppError } from '../../src/protocol/errors.ts';

const paths = resolvePaths({ ONCALL_HOME: '/home/ana/oncall' }, 'default');

function held(role: string, change: Partial<Held<'kubernetes'>['publicPart']> = {}): Held<'kubernetes'> {
  return {
    grantId: 'gr_0123456789abcdefghj',
    credentialId: 'cr_0123456789abcdefghj',
    target: { resource: 'prod', role },
    handle: 'system:serviceaccount:oncall:oncall-x',
    secret: { kind: 'kubernetes', token: 'a.b.c' },
    publicPart: {
      kind: 'kubernetes',
      server: 'https://kube.example:6443',
      caPem: 'PEM',
      sealedToken: 'x',
      ...change,
    },
    lifeSeconds: 600.9,
    receivedAtMs: Date.parse('2026-01-05T02:14:00.000Z'),
    expiresAt: '2026-01-05T02:24:00.000Z',
  };
}

const filesOf = (credential: Held<'kubernetes'>) => KUBERNETES.files(credential, '/run/g');
const codeOf = (work: () => unknown) => {
  try {
    work();
    return 'done';
  } catch (error) {
    return isAppError(error) ? error.code : String(error);
  }
};

interface Config {
  clusters: { name: string; cluster: { server: string } }[];
  users: {
    name: string;
    user: { tokenFile?: string; exec?: { args: string[]; apiVersion: string; interactiveMode: string } };
  }[];
  contexts: { name: string; context: { cluster: string; user: string; namespace?: string } }[];
  'current-context'?: string;
}
const parse = (text: string | undefined) => JSON.parse(text ?? '') as Config;

describe('the files of a kubernetes grant', () => {
  test('are a token, a kubeconfig that names it and does not hold it, and an answer for kubectl', () => {
    const files = filesOf(held('read', { namespace: 'orders' }));
    expect(files.token).toBe('a.b.c');
    expect(files.kubeconfig).not.toContain('a.b.c');
    expect(parse(files.kubeconfig)).toMatchObject({
      users: [{ user: { tokenFile: '/run/g/token' } }],
      contexts: [
        { name: 'prod', context: { namespace: 'orders' } },
        { name: 'prod:read', context: { namespace: 'orders' } },
      ],
      'current-context': 'prod',
    });
    expect(JSON.parse(files['exec-credential.json']!)).toEqual({
      apiVersion: 'client.authentication.k8s.io/v1',
      kind: 'ExecCredential',
      // Never later than the credential itself.
      status: { token: 'a.b.c', expirationTimestamp: '2026-01-05T02:24:00.000Z' },
    });
  });

  test('hold nothing that breaks out of them, and send the token nowhere in the clear', () => {
    const evil = 'https://kube.example/"}\n- name: x';
    expect(parse(filesOf(held('read', { server: evil, namespace: '"\n' })).kubeconfig).clusters).toEqual([
      { name: 'oncall/prod:read', cluster: expect.objectContaining({ server: evil }) },
    ]);
    for (const server of ['http://kube.example', 'ftp://x', 'kube.example', '']) {
      expect(codeOf(() => filesOf(held('read', { server })))).toBe('corrupt_file');
    }
  });

  test('take a token that is one, and nothing else', async () => {
    const { secretFor } = await KUBERNETES.createMaterial();
    const open = (token: string) =>
      secretFor(held('read').publicPart, async () => Buffer.from(token)).then(
        (secret) => ('token' in secret ? secret.token : undefined),
        (error: { code: string }) => error.code,
      );
    expect(await open('abc.DEF-_~+/=')).toBe('abc.DEF-_~+/=');
    for (const token of ['', 'a b', 'a\nb', 'ä', 'x'.repeat(17_000)])
      expect(await open(token)).toBe('corrupt_file');
  });
});

describe('the kubeconfig of plain kubectl', () => {
  const join = (...credentials: Held<'kubernetes'>[]) =>
    KUBERNETES.join!(credentials.map((credential) => filesOf(credential).kubeconfig!));
  const known = (...roles: string[]) =>
    roles.map((role) => ({ kind: 'kubernetes' as const, resource: 'prod', role, names: [] }));
  const tools = (joined: string, roles: string[], profile = paths) =>
    KUBERNETES.toolFiles!({ paths: profile, joined: () => joined, known: known(...roles) });

  test('has the newest role under the name of the resource, and each under its own', () => {
    const config = parse(tools(join(held('edit'), held('read')), ['edit', 'read']).kubeconfig);
    const users = Object.fromEntries(config.contexts.map(({ name, context }) => [name, context.user]));
    expect(users).toEqual({
      prod: 'oncall/prod:edit',
      'prod:edit': 'oncall/prod:edit',
      'prod:read': 'oncall/prod:read',
    });
    for (const { name, user } of config.users) {
      expect(user.exec?.args).toEqual(['credential', name.replace('oncall/', ''), '--format', 'kubectl']);
      expect(user.exec?.interactiveMode).toBe('Never');
    }
    const defined = new Set(config.users.map(({ name }) => name));
    expect(config.contexts.every(({ context }) => defined.has(context.user))).toBe(true);
    expect(config['current-context']).toBeUndefined();
  });

  test('keeps contexts of what is not held, which lead nowhere and ask the same', () => {
    const config = parse(tools('', ['read']).kubeconfig);
    expect(config.contexts.map(({ name }) => name)).toEqual(['prod', 'prod:read']);
    expect(new Set(config.clusters.map(({ cluster }) => cluster.server))).toEqual(
      new Set(['https://no-access.invalid']),
    );
    expect(config.users.map(({ user }) => user.exec?.args[1])).toEqual(['prod', 'prod:read']);
  });

  test('is there for older kubectl too, and names the profile', () => {
    const files = tools(join(held('read')), ['read'], resolvePaths({ ONCALL_HOME: '/h' }, 'staging'));
    const versions = Object.entries(files).map(([name, text]) => [name, parse(text).users[0]?.user.exec]);
    expect(Object.fromEntries(versions)).toMatchObject({
      kubeconfig: { apiVersion: 'client.authentication.k8s.io/v1' },
      'kubeconfig.v1beta1': {
        apiVersion: 'client.authentication.k8s.io/v1beta1',
        args: ['credential', 'prod:read', '--format', 'kubectl', '--profile', 'staging'],
      },
    });
  });

  test('does without a part that somebody damaged', () => {
    expect(KUBERNETES.join!(['{', filesOf(held('read')).kubeconfig!])).toContain('oncall/prod:read');
    for (const damaged of ['{', '{}', 'null', '[]']) expect(KUBERNETES.join!([damaged])).toBe('');
    expect(KUBERNETES.join!([])).toBe('');
  });
});
