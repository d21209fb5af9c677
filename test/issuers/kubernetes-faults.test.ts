// What only a fake can be made to do.
import { describe, expect, test } from 'vitest';
import { startFakeKubernetes } from '../support/fakes/kubernetes.ts';
import { waitFor } from '../support/temp.ts';
import { codeOf, createLogin, LIFE_MS } from './contract.ts';
import { type KubernetesWorld, startKubernetesWorld } from './kubernetes-world.ts';

const STEPS = [
  ['the account', /\/serviceaccounts$/],
  ['the binding', /\/rolebindings$/],
  ['the token', /\/token$/],
] as const;

describe('a kubernetes target in trouble', () => {
  async function createWorld(): Promise<KubernetesWorld> {
    const fake = await startFakeKubernetes();
    const { url, ca, adminToken } = fake;
    return startKubernetesWorld({}, { url, ca, adminToken, fake });
  }
  /** Accounts and bindings of logins. */
  function traces(world: KubernetesWorld): string[] {
    return [...world.fake().objects.keys()].filter((path) => /oncall-[0-9a-z]{19}-|oncall:gr_/.test(path));
  }
  const post = (path: RegExp) => (call: { method: string; path: string }) =>
    call.method === 'POST' && path.test(call.path);

  test('that is down makes no login and says to try again; one that is live ends once it is back', async () => {
    const world = await createWorld();
    const live = createLogin(world);
    await live.issue();
    await world.fake().stop();
    const login = createLogin(world);
    expect(await codeOf(login.issue())).toBe('target_unreachable');
    expect(await codeOf(live.end())).toBe('target_unreachable');
    expect(await codeOf(live.prove())).toBe('target_unreachable');
    await world.fake().start();
    expect(await live.prove()).toMatchObject({ state: 'unproven' });
    await live.end();
    expect(await live.prove()).toMatchObject({ state: 'proven' });
    expect(traces(world)).toEqual([]);
  });

  test.each(STEPS)(
    'that makes %s and never answers is given up at the signal, and the end finds all',
    async (_, path) => {
      const world = await createWorld();
      const login = createLogin(world);
      world.fake().swallow(post(path));
      expect(await codeOf(login.issue({ signal: AbortSignal.timeout(300) }))).toBe('target_unreachable');
      expect(await login.prove()).toMatchObject({ state: 'unproven' });
      world.fake().recover();
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'proven' });
      expect(traces(world)).toEqual([]);
    },
  );

  test.each(STEPS)('that gets the request for %s on its way past the deadline drops it', async (_, path) => {
    const world = await createWorld();
    const login = createLogin(world);
    const { release, held } = world.fake().hold(post(path));
    const deadlineMs = Date.now() + 600;
    const issuing = codeOf(login.issue({ deadlineMs, signal: AbortSignal.timeout(500) }));
    await waitFor(() => held() === 1, { what: 'the request' });
    expect(await issuing).toBe('target_unreachable');
    await login.end();
    // What is counted from its arrival runs out later by the time it was on its way.
    await waitFor(() => Date.now() > deadlineMs + 300, { what: 'the end of the lease' });
    await release();
    expect(await login.prove()).toMatchObject({ state: 'proven' });
    expect(traces(world)).toEqual([]);
  });

  test.each(STEPS)(
    'whose answer about %s comes past the deadline gets all of it taken away again',
    async (_, path) => {
      const world = await createWorld();
      const device = world.createDevice();
      let sealed = 0;
      const seal = (secret: Uint8Array) => {
        sealed++;
        return device.seal(secret);
      };
      const login = createLogin(world, {}, { ...device, seal });
      const { release, held } = world.fake().hold((call) => post(path)(call));
      // The broker slept: by its own count the deadline is over when the answer is there, though the signal never fired.
      const deadlineMs = Date.now() + 1_000;
      const issuing = codeOf(login.issue({ deadlineMs, signal: new AbortController().signal }));
      await waitFor(() => held() === 1, { what: 'the request' });
      blockFor(1_100);
      world.fake().skewMs = 0;
      await release();
      expect(await issuing).toBe('target_unreachable');
      expect(sealed).toBe(0);
      expect(traces(world)).toEqual([]);
    },
  );

  test('whose clock says that more time went by than we counted gets it taken away too', async () => {
    const world = await createWorld();
    const login = createLogin(world);
    const { release, held } = world.fake().hold(post(/\/token$/));
    const issuing = codeOf(login.issue());
    await waitFor(() => held() === 1, { what: 'the request' });
    // As after a pause of the whole virtual machine, which stops every counter in it.
    world.fake().skewMs = 60_000;
    await release();
    expect(await issuing).toBe('target_unreachable');
    expect(traces(world)).toEqual([]);
  });

  test('whose clock is hours off hands out logins that live as long as they should', async () => {
    const world = await createWorld();
    world.fake().skewMs = -3 * 3_600_000;
    const login = createLogin(world);
    const { expiresAtMs } = await login.issue();
    expect(Math.abs(expiresAtMs - Date.now() - LIFE_MS)).toBeLessThan(5_000);
    expect(await login.works()).toBe(true);
    await login.end();
  });

  test('that was asked after the lease is asked for nothing', async () => {
    const world = await createWorld();
    const before = world.fake().calls.length;
    const login = createLogin(world);
    expect(await codeOf(login.issue({ deadlineMs: Date.now() - 1 }))).toBe('target_unreachable');
    expect(
      world
        .fake()
        .calls.slice(before)
        .filter(({ method }) => method === 'POST'),
    ).toEqual([]);
  });

  test('whose objects were deleted by hand has no login, and the end is still proven', async () => {
    const world = await createWorld();
    for (const kind of [/serviceaccounts/, /rolebindings/]) {
      const login = createLogin(world);
      await login.issue();
      const [path] = traces(world).filter((one) => kind.test(one));
      await world.fake().admin('DELETE', path!.replaceAll('%3A', ':'));
      if (kind.test('rolebindings')) expect(await login.works()).toBe(false);
      expect(await login.prove()).toMatchObject({ state: 'unproven' });
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'proven' });
    }
  });

  test('that keeps the account for a finalizer has its rights gone, and is not said to be rid of it', async () => {
    const world = await createWorld();
    const login = createLogin(world);
    await login.issue();
    const [account] = traces(world).filter((path) => path.includes('serviceaccounts'));
    world.fake().objects.get(account!)!.metadata.finalizers = ['example.com/keep'];
    await login.end();
    expect(await login.works()).toBe(false);
    expect(await login.prove()).toMatchObject({ state: 'unproven' });
    // A call that comes late finds an account whose end has begun, and leaves it at that.
    expect(await codeOf(login.issue())).toBe('ended');
    world.fake().objects.get(account!)!.metadata.finalizers = [];
    await login.end();
    expect(await login.prove()).toMatchObject({ state: 'proven' });
  });

  test('that has a binding of our name to something else refuses, and lets nobody in', async () => {
    const world = await createWorld();
    const login = createLogin(world);
    const [grant, credential] = login.handle.split('-').slice(1);
    await world.fake().admin('POST', '/apis/rbac.authorization.k8s.io/v1/namespaces/orders/rolebindings', {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'RoleBinding',
      metadata: { name: `oncall:gr_${grant}:cr_${credential}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'edit' },
      subjects: [{ kind: 'Group', name: 'everybody', apiGroup: 'rbac.authorization.k8s.io' }],
    });
    expect(await codeOf(login.issue())).toBe('target_refused');
    expect(await login.works()).toBe(false);
    await login.end();
  });

  test.each([
    ['none', {}],
    ['an empty one', { token: '', expirationTimestamp: inSeconds(600) }],
    ['one that is no text', { token: 7, expirationTimestamp: inSeconds(600) }],
    ['one without an end', { token: 'a.b.c' }],
    ['one that is over', { token: 'a.b.c', expirationTimestamp: inSeconds(-5) }],
    ['one for an hour', { token: 'a.b.c', expirationTimestamp: inSeconds(3600) }],
  ])('that gives %s for a token of ten minutes is not believed', async (_, status) => {
    const world = await createWorld();
    const login = createLogin(world);
    world.fake().alter(post(/\/token$/), (body) => ({ ...body, status }));
    expect(await codeOf(login.issue())).toBe('target_refused');
    world.fake().recover();
    await login.end();
    expect(traces(world)).toEqual([]);
  });

  test('that gives a token which ends sooner is taken at its word', async () => {
    const world = await createWorld();
    const login = createLogin(world);
    const status = { token: 'a.b.c', expirationTimestamp: inSeconds(60) };
    world.fake().alter(post(/\/token$/), (body) => ({ ...body, status }));
    expect((await login.issue()).expiresAtMs).toBeLessThan(Date.now() + 62_000);
    await login.end();
  });

  test('that is named by its address, below a path of a proxy, is asked there', async () => {
    const world = await createWorld();
    const { port } = new URL(world.cluster.url);
    const asked = async (server: string) => {
      const resource = { ...world.resource, target: { ...world.settings, server } };
      const from = world.fake().calls.length;
      const code = await codeOf(createLogin({ ...world, resource }).issue());
      return { code, path: world.fake().calls[from]?.path };
    };
    expect(await asked(`https://127.0.0.1:${port}`)).toMatchObject({ code: 'done' });
    const { path } = await asked(`https://127.0.0.1:${port}/k8s/clusters/c-1`);
    expect(path).toBe('/k8s/clusters/c-1/api/v1/namespaces/oncall/serviceaccounts');
  });

  test('that knows the broker no more refuses, without a word of the token in the error', async () => {
    const world = await createWorld();
    world.broker.token = 'a-token-that-was-rotated';
    const error = await createLogin(world)
      .issue()
      .catch((caught: Error) => caught);
    expect(error).toMatchObject({ code: 'target_refused' });
    expect(`${error} ${(error as Error).cause}`).not.toContain('a-token-that-was-rotated');
  });

  test('whose role was not given to the broker to bind refuses: no right is handed out that was not named', async () => {
    const world = await createWorld();
    const roles = new Map(world.settings.roles).set('edit', {
      kind: 'ClusterRole',
      name: 'edit',
      namespace: 'orders',
      description: undefined,
    });
    const resource = { ...world.resource, target: { ...world.settings, roles } };
    const login = createLogin({ ...world, resource }, { role: 'edit' });
    expect(await codeOf(login.issue())).toBe('target_refused');
    expect(await login.works()).toBe(false);
    await login.end();
    expect(traces(world)).toEqual([]);
  });

  test.each([
    [503, 'target_unreachable'],
    [429, 'target_unreachable'],
    [302, 'target_refused'],
    [200, 'target_refused'],
  ])('that answers %i to everything proves nothing', async (status, code) => {
    const world = await createWorld();
    const login = createLogin(world);
    await login.issue();
    world.fake().fail(status);
    const proof = await login.prove().catch((error: { code: string }) => ({ state: error.code }));
    expect(proof.state).not.toBe('proven');
    expect(await codeOf(createLogin(world).issue())).toBe(code);
    world.fake().recover();
    await login.end();
  });

  test('whose proxy answers 404 to everything proves nothing', async () => {
    const world = await createWorld();
    const login = createLogin(world);
    await login.issue();
    world.fake().fail(404);
    expect(await codeOf(login.prove())).toBe('target_refused');
    world.fake().recover();
    await login.end();
  });

  test('that cannot prove its name by the CA of the catalogue is told no token', async () => {
    const world = await createWorld();
    const other = await startFakeKubernetes();
    const { calls } = world.fake();
    const before = calls.length;
    const { createKubernetesIssuer } = await import('../../src/issuers/kubernetes.ts');
    const issuer = createKubernetesIssuer({
      installation: 'x',
      resolveSecret: async () => world.broker.token,
      readCa: async () => other.ca,
    });
    const login = createLogin({ ...world, issuer });
    expect(await codeOf(login.issue())).toBe('target_unreachable');
    expect(calls).toHaveLength(before);
    await issuer.close();
    await other.close();
  });

  test('is surveyed page by page, with bindings whose account is gone', async () => {
    const world = await createWorld();
    const logins = [createLogin(world), createLogin(world, { role: 'nodes' })];
    for (const login of logins) await login.issue();
    for (let index = 0; index < 260; index++) {
      const body = { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: `other-${index}` } };
      await world.fake().admin('POST', '/api/v1/namespaces/oncall/serviceaccounts', body);
    }
    const gone = traces(world).find((path) => path.endsWith(logins[1]!.handle.split(':').at(-1)!));
    await world.fake().admin('DELETE', gone!);
    const survey = await world.issuer.survey(world.resource, AbortSignal.timeout(9_000));
    expect(survey.persists && survey.found.map(({ handle }) => handle).sort()).toEqual(
      logins.map(({ handle }) => handle).sort(),
    );
    for (const login of logins) await login.end();
  });
});

function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString();
}

/** Nothing of this process runs meanwhile, as when it is stopped. */
function blockFor(ms: number): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
}
