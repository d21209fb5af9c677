import { describe, expect, test } from 'vitest';
import { createId } from '../../src/protocol/ids.ts';
import { callCluster } from '../support/kubernetes-cluster.ts';
import { codeOf, createLogin, HOSTILE, issuerContract, LIFE_MS, subjectOf } from './contract.ts';
import { type KubernetesWorld, resourceWith, startKubernetesWorld } from './kubernetes-world.ts';

const RBAC = '/apis/rbac.authorization.k8s.io/v1';

describe('kubernetes', () => {
  let world: Promise<KubernetesWorld> | undefined;
  const shared = (): Promise<KubernetesWorld> => {
    world ??= startKubernetesWorld();
    return world;
  };
  /** What the cluster has at this path, as its admin sees it. */
  async function look(path: string) {
    const { cluster } = await shared();
    return callCluster(cluster, cluster.adminToken, 'GET', path);
  }
  function pathsOf({ settings }: KubernetesWorld, handle: string) {
    const account = handle.split(':').at(-1)!;
    const [, grant, credential] = account.split('-');
    const binding = `oncall:gr_${grant}:cr_${credential}`;
    return {
      account: `/api/v1/namespaces/${settings.accounts}/serviceaccounts/${account}`,
      binding: (namespace?: string) =>
        namespace === undefined
          ? `${RBAC}/clusterrolebindings/${binding}`
          : `${RBAC}/namespaces/${namespace}/rolebindings/${binding}`,
    };
  }

  issuerContract('kubernetes', shared);

  describe('a login', () => {
    test('is an account, one binding and one token, under names that lead to grant, person and incident', async () => {
      const own = await shared();
      const login = createLogin(own);
      const issued = await login.issue();
      const { account, binding } = pathsOf(own, login.handle);
      const namespace = own.settings.roles.get('read')!.namespace!;
      expect((await look(account)).body).toMatchObject({
        automountServiceAccountToken: false,
        metadata: {
          labels: { 'app.kubernetes.io/managed-by': 'oncall' },
          annotations: {
            'oncall/grant': login.subject.grantId,
            'oncall/user': 'ada',
            'oncall/incident': 'P1-123',
          },
        },
      });
      expect((await look(binding(namespace))).body).toMatchObject({
        roleRef: { kind: 'ClusterRole', name: 'view' },
        subjects: [
          { kind: 'ServiceAccount', namespace: own.settings.accounts, name: account.split('/').at(-1) },
        ],
      });
      expect(account).toContain(login.subject.grantId.slice(3));
      const { body } = await callCluster(
        own.cluster,
        (login.device as ReturnType<KubernetesWorld['createDevice']>).tokenOf(issued),
        'POST',
        '/apis/authentication.k8s.io/v1/selfsubjectreviews',
        { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' },
      );
      expect(body).toMatchObject({ status: { userInfo: { username: login.handle } } });
      await login.end();
    });

    test('has what its role gives where that holds, and nothing beside it', async () => {
      const own = await shared();
      const namespace = own.settings.roles.get('read')!.namespace!;
      const statuses = async (role: string) => {
        const device = own.createDevice();
        const login = createLogin(own, { role }, device);
        const token = device.tokenOf(await login.issue());
        expect(await login.works()).toBe(true);
        const paths = [`/api/v1/namespaces/${namespace}/pods`, '/api/v1/namespaces/kube-system/pods'];
        const found = paths.map((path) => callCluster(own.cluster, token, 'GET', path));
        const secrets = callCluster(own.cluster, token, 'GET', `/api/v1/namespaces/${namespace}/secrets`);
        const result = (await Promise.all([...found, secrets])).map(({ status }) => status);
        await login.end();
        expect(await login.prove()).toMatchObject({ state: 'proven' });
        return result;
      };
      expect(await statuses('read')).toEqual([200, 403, 403]);
      expect(await statuses('restart')).toEqual([200, 403, 403]);
      expect(await statuses('nodes')).toEqual([200, 200, 403]);
    });

    test('is named the same for the same credential, by a legal name, and differs for another', async () => {
      const own = await shared();
      for (const user of ['ada', '', ...HOSTILE]) {
        const subject = subjectOf(own, { user });
        expect(own.issuer.chooseHandle(subject)).toBe(own.issuer.chooseHandle(subject));
        expect(own.issuer.chooseHandle(subject)).toMatch(
          /^system:serviceaccount:oncall[0-9a-f-]*:oncall-[0-9a-z]{19}-[0-9a-z]{19}$/,
        );
        const other = { ...subject, credentialId: createId('cr', Date.now()) };
        expect(own.issuer.chooseHandle(other)).not.toBe(own.issuer.chooseHandle(subject));
      }
    });

    test('gives its token to its device alone, sealed, and to nothing else that leaves the issuer', async () => {
      const own = await shared();
      const device = own.createDevice();
      const login = createLogin(own, {}, device);
      const issued = await login.issue();
      const token = device.tokenOf(issued);
      expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
      expect(JSON.stringify(issued)).not.toContain(token);
      await login.end();
      expect(JSON.stringify([await login.end(), await login.prove()])).not.toContain(token);
    });

    test('ends when it was asked to at the latest, although no token lives shorter than ten minutes', async () => {
      const own = await shared();
      const short = createLogin(own);
      const before = Date.now();
      const { expiresAtMs } = await short.issue();
      expect(expiresAtMs).toBeLessThanOrEqual(Date.now() + LIFE_MS);
      expect(expiresAtMs).toBeGreaterThan(before + LIFE_MS - 2_000);
      await short.end();
    });

    test('of a role that is never handed out is refused, whatever the catalogue says', async () => {
      const own = await shared();
      for (const name of ['cluster-admin', 'system:masters', 'system:node']) {
        const roles = new Map(own.settings.roles).set('all', {
          kind: 'ClusterRole',
          name,
          namespace: undefined,
          description: undefined,
        });
        const resource = resourceWith({ ...own.settings, roles });
        const login = createLogin({ ...own, resource }, { role: 'all' });
        expect(await codeOf(login.issue())).toBe('target_refused');
        expect(await look(pathsOf(own, login.handle).account)).toMatchObject({ status: 404 });
      }
    });

    test('is never made or ended under a handle that is not one of ours', async () => {
      const own = await shared();
      for (const handle of [
        'system:serviceaccount:kube-system:default',
        'oncall-x',
        'system:serviceaccount:a/b:oncall-x',
      ]) {
        const input = { ...subjectInput(own), handle };
        expect(await codeOf(own.issuer.end(input))).toBe('internal');
        expect(await codeOf(own.issuer.prove(input))).toBe('internal');
      }
    });

    test('says that streams which are open may go on', async () => {
      const login = createLogin(await shared());
      await login.issue();
      await login.end();
      expect(await login.prove()).toMatchObject({ method: expect.stringMatching(/exec.*may go on/) });
    });
  });

  describe('the check', () => {
    test('finds all in order after the guide, and changes nothing', async () => {
      const own = await shared();
      const survey = () => own.issuer.survey(own.resource, AbortSignal.timeout(9_000));
      const before = await survey();
      const found = await own.issuer.check(own.resource, AbortSignal.timeout(9_000));
      expect(found.filter(({ ok }) => !ok)).toEqual([]);
      expect(found.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['accounts', 'tokens', 'role read: bind', 'role nodes: dry run', 'narrow']),
      );
      expect(await survey()).toEqual(before);
    });

    test('says which right is missing, and which is too many', async () => {
      const own = await startKubernetesWorld();
      const namespace = own.settings.roles.get('read')!.namespace!;
      const broker = `${own.settings.accounts}-broker`;
      const check = async () => {
        const found = await own.issuer.check(own.resource, AbortSignal.timeout(9_000));
        expect(found.every(({ ok, fix }) => ok || fix !== undefined)).toBe(true);
        return found.filter(({ ok }) => !ok).map(({ name }) => name);
      };
      const admin = (method: 'POST' | 'DELETE', path: string, body?: object) =>
        callCluster(own.cluster, own.cluster.adminToken, method, path, body);
      await admin('DELETE', `${RBAC}/namespaces/${namespace}/rolebindings/${broker}`);
      await poll(check).toEqual(
        ['read', 'restart'].flatMap((role) => [
          `role ${role}: bindings`,
          `role ${role}: bind`,
          ...(role === 'restart' ? ['role restart: exists'] : []),
          `role ${role}: dry run`,
        ]),
      );
      await admin('POST', `${RBAC}/clusterrolebindings`, {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRoleBinding',
        metadata: { name: `${broker}-too-much` },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
        subjects: [{ kind: 'ServiceAccount', name: broker, namespace: broker }],
      });
      await poll(check).toEqual(['narrow']);
      await admin('DELETE', `${RBAC}/clusterrolebindings/${broker}-too-much`);
    });

    test('finds a role that is not there, and one for the whole cluster that leads to more', async () => {
      const own = await startKubernetesWorld();
      const name = own.settings.roles.get('nodes')!.name;
      await callCluster(own.cluster, own.cluster.adminToken, 'DELETE', `${RBAC}/clusterroles/${name}`);
      const missing = async () => {
        const found = await own.issuer.check(own.resource, AbortSignal.timeout(9_000));
        return found.filter(({ ok }) => !ok).map((one) => `${one.name}: ${one.detail}`);
      };
      await poll(missing).toEqual([`role nodes: exists: there is no ClusterRole ${name}`]);
      await callCluster(own.cluster, own.cluster.adminToken, 'POST', `${RBAC}/clusterroles`, {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'ClusterRole',
        metadata: { name },
        rules: [{ apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] }],
      });
      await poll(missing).toEqual([expect.stringMatching(/^role nodes: exists: .*tokens for any account/)]);
    });
  });

  test('asks the API server for nothing that is not documented', async () => {
    const { cluster } = await shared();
    expect(cluster.fake?.complaints ?? []).toEqual([]);
  });

  /** A real API server learns of a change a moment later. */
  function poll<T>(look: () => Promise<T>) {
    return expect.poll(look, { timeout: 5_000 });
  }

  function subjectInput(own: KubernetesWorld) {
    const nowMs = Date.now();
    const signal = AbortSignal.timeout(9_000);
    return { subject: subjectOf(own), publicPart: undefined, expiresAtMs: nowMs + LIFE_MS, nowMs, signal };
  }
});
