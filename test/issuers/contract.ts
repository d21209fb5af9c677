// What every issuer owes the broker, whatever its target: run by each against the real thing.
import { describe, expect, test } from 'vitest';
import type { Resource } from '../../src/catalogue/types.ts';
import type {
  CredentialSubject,
  EndInput,
  Issued,
  Issuer,
  KeyMaterial,
  Survey,
} from '../../src/issuers/issuer.ts';
import { isAppError } from '../../src/protocol/errors.ts';
import { createId } from '../../src/protocol/ids.ts';

export interface World {
  issuer: Issuer;
  /** Another installation's at the same target, where logins leave something there. */
  neighbour?: Issuer;
  resource: Resource;
  role: string;
  /** `expires`: of a target that nobody can ask. Its end is stated with a time, and proven once that is past. */
  end?: 'proven' | 'expires';
  /** Key material as a device makes it, and a login with the secret half. */
  createDevice(): Device;
}

export interface Device {
  material: KeyMaterial;
  /** Where the target hands out secrets: seals one to this device. */
  seal?: (secret: Uint8Array) => Promise<string>;
  /** Resolves to whether the target let it in. */
  login(issued: Issued): Promise<boolean>;
}

export const LIFE_MS = 240_000;

export function subjectOf(world: World, change: Partial<CredentialSubject> = {}): CredentialSubject {
  const now = Date.now();
  return {
    credentialId: createId('cr', now),
    grantId: createId('gr', now),
    user: 'ada',
    resource: world.resource,
    role: world.role,
    incident: 'P1-123',
    ...change,
  };
}

/** One login under test, with the calls that the broker makes for it. */
export function createLogin(
  world: World,
  change: Partial<CredentialSubject> = {},
  device = world.createDevice(),
) {
  const subject = subjectOf(world, change);
  const handle = world.issuer.chooseHandle(subject);
  let issued: Issued | undefined;
  const times = (lifeMs = LIFE_MS) => {
    const nowMs = Date.now();
    return {
      nowMs,
      expiresAtMs: nowMs + lifeMs,
      deadlineMs: nowMs + 10_000,
      signal: AbortSignal.timeout(9_000),
    };
  };
  const endInput = (): EndInput => ({
    subject,
    handle,
    publicPart: issued?.publicPart,
    ...times(),
    expiresAtMs: issued?.expiresAtMs ?? times().expiresAtMs,
  });
  return {
    subject,
    handle,
    device,
    async issue(
      options: { lifeMs?: number; deadlineMs?: number; signal?: AbortSignal } = {},
    ): Promise<Issued> {
      const { lifeMs, ...rest } = options;
      issued = await world.issuer.issue({
        subject,
        handle,
        material: device.material,
        seal: device.seal ?? (async () => 'sealed to nobody'),
        ...times(lifeMs),
        ...rest,
      });
      return issued;
    },
    renew: (options: { lifeMs?: number; deadlineMs?: number } = {}) => {
      const { lifeMs, ...rest } = options;
      return world.issuer.renew({ subject, handle, ...times(lifeMs), ...rest });
    },
    works: async () => (issued ? device.login(issued) : false),
    end: (options: { signal?: AbortSignal } = {}) => world.issuer.end({ ...endInput(), ...options }),
    prove: (options: Partial<EndInput> = {}) => world.issuer.prove({ ...endInput(), ...options }),
  };
}

function surveyOf({ issuer, resource }: World): Promise<Survey> {
  return issuer.survey(resource, AbortSignal.timeout(9_000));
}

/** The end, as this kind of target can show it. */
async function expectEnded(world: World, login: ReturnType<typeof createLogin>): Promise<void> {
  const proof = await login.prove();
  expect(proof.state).toBe(world.end ?? 'proven');
  if (proof.state === 'expires')
    expect(await login.prove({ nowMs: proof.expiresAtMs })).toMatchObject({ state: 'proven' });
}

export function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => 'done',
    (error: unknown) => (isAppError(error) ? error.code : `not an AppError: ${error}`),
  );
}

/** Names that would break out of a quoted name, a literal, a comment, a line or a shell word. */
export const HOSTILE = [
  `a"b'c; drop role postgres; --`,
  '../../etc/passwd',
  'eve\n\r\u0000\u001b[31m\u202e',
  '$(touch /tmp/owned) `id`',
  '日本語 ünï',
  '$guard$ \\',
  'x'.repeat(300),
];

export function issuerContract(name: string, createWorld: () => Promise<World>): void {
  describe(`${name}: the contract of issuers`, () => {
    test('a login works from its issue to its end, and the end is proven', async () => {
      const world = await createWorld();
      const login = createLogin(world);
      await login.issue();
      expect(await login.works()).toBe(true);
      await login.end();
      expect(await login.works()).toBe(false);
      await expectEnded(world, login);
    });

    test('the handle is chosen from the subject alone or at random, and issuing twice under it is issuing once', async () => {
      const world = await createWorld();
      const login = createLogin(world);
      await login.issue();
      await login.issue();
      expect(await login.works()).toBe(true);
      await login.end();
      await expectEnded(world, login);
      expect(await login.works()).toBe(false);
    });

    test('ending twice, and ending what was never issued, are done', async () => {
      const world = await createWorld();
      const login = createLogin(world);
      await login.issue();
      await login.end();
      expect(await login.end()).toEqual({ sessionsEnded: 0, leftovers: [] });
      await expectEnded(world, login);
      const never = createLogin(world);
      expect(await never.end()).toEqual({ sessionsEnded: 0, leftovers: [] });
    });

    test('a live login is never said to be gone', async () => {
      const login = createLogin(await createWorld());
      await login.issue();
      expect((await login.prove()).state).not.toBe('proven');
      expect(await login.works()).toBe(true);
      await login.end();
    });

    test('ending one login leaves another of the same person alone', async () => {
      const world = await createWorld();
      const [first, second] = [createLogin(world), createLogin(world)];
      await first.issue();
      await second.issue();
      await first.end();
      expect(await first.works()).toBe(false);
      expect(await second.works()).toBe(true);
      await second.end();
    });

    test('a survey lists what was issued until it has ended, or says that nothing is to be found', async () => {
      const world = await createWorld();
      const login = createLogin(world, { user: 'eve, broker x, \u001b[31m\n' });
      const { expiresAtMs } = await login.issue();
      const survey = await surveyOf(world);
      await login.end();
      if (!survey.persists) return expect(await surveyOf(world)).toEqual({ persists: false });
      expect(survey.isComplete).toBe(true);
      const found = survey.found.filter(({ handle }) => handle === login.handle);
      expect(found).toMatchObject([{ isOurs: true, note: expect.stringMatching(/^[\x20-\x7e]{0,500}$/) }]);
      if (found[0]!.expiresAtMs !== undefined) {
        expect(Math.abs(found[0]!.expiresAtMs - expiresAtMs)).toBeLessThan(2_000);
      }
      expect(await surveyOf(world)).toMatchObject({ found: [] });
    });

    test('a survey never lists what is another installation’s, and ends nothing', async () => {
      const world = await createWorld();
      const { neighbour } = world;
      const own = createLogin(world);
      await own.issue();
      const theirs = createLogin({ ...world, ...(neighbour && { issuer: neighbour }) });
      await theirs.issue();
      const survey = await surveyOf(world);
      expect(neighbour !== undefined).toBe(survey.persists);
      if (survey.persists) expect(survey.found.map(({ handle }) => handle)).toEqual([own.handle]);
      expect([await own.works(), await theirs.works()]).toEqual([true, true]);
      await Promise.all([own.end(), theirs.end()]);
    });

    test('another issuer’s key material and a role that nobody has are refused', async () => {
      const world = await createWorld();
      const foreign: KeyMaterial =
        world.issuer.kind === 'ssh' ? { kind: 'postgres', verifier: 'x' } : { kind: 'ssh', publicKey: 'x' };
      const login = createLogin(world, {}, { material: foreign, login: async () => false });
      expect(await codeOf(login.issue())).toBe('invalid_request');
      expect(await codeOf(createLogin(world, { role: 'owner' }).issue())).toBe('target_refused');
    });

    test.each(HOSTILE)('a user and an incident named %j do no harm', async (text) => {
      const world = await createWorld();
      const login = createLogin(world, { user: text, incident: text });
      await login.issue();
      expect(await login.works()).toBe(true);
      await login.end();
      await expectEnded(world, login);
    });

    test('an aborted call ends at once', async () => {
      const world = await createWorld();
      const login = createLogin(world);
      expect(await codeOf(login.issue({ signal: AbortSignal.abort() }))).toBe('target_unreachable');
      const { issuer, resource } = world;
      const survey = await codeOf(issuer.survey(resource, AbortSignal.abort()));
      expect(['target_unreachable', 'done']).toContain(survey);
      expect(await login.works()).toBe(false);
      expect(await login.end()).toEqual({ sessionsEnded: 0, leftovers: [] });
    });
  });
}
