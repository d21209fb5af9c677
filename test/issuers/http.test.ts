import { createHmac, createPublicKey, generateKeyPairSync, sign as signBytes } from 'node:crypto';
import { createLocalJWKSet, decodeJwt, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { describe, expect, test } from 'vitest';
import { createHttpIssuer } from '../../src/issuers/http.ts';
import { signToken, type TokenClaims, type TokenKey } from '../../src/issuers/http-token.ts';
import { startNginx } from '../support/nginx.ts';
import { part } from '../support/parts.ts';
import { codeOf, createLogin, HOSTILE, issuerContract } from './contract.ts';
import { type HttpWorld, httpResource, newTokenKey, settingsFor, startHttpWorld } from './http-world.ts';

describe.skipIf(!part('nginx'))('http', () => {
  let world: Promise<HttpWorld> | undefined;
  const shared = (): Promise<HttpWorld> => {
    world ??= startHttpWorld();
    return world;
  };

  issuerContract('http', shared);

  /** A token as the issuer would make it, but for `change`; recorded as live. */
  async function tokenOf(
    base: HttpWorld,
    change: Partial<TokenClaims> = {},
    { key, issuer }: { key?: TokenKey; issuer?: string } = {},
  ): Promise<string> {
    const nowMs = Date.now();
    const claims = {
      id: 'f'.repeat(32),
      user: 'ada',
      grant: 'gr_1',
      incident: 'P1-1',
      resource: 'tool',
      role: 'read',
      audience: base.settings.audience,
      notBeforeMs: nowMs - 60_000,
      issuedAtMs: nowMs,
      expiresAtMs: nowMs + 60_000,
      ...change,
    };
    base.rows.set(claims.id, { state: 'live', expiresAt: nowMs + 60_000 });
    return signToken(key ?? base.keys.set.current, issuer ?? base.brokerUrl, claims);
  }

  const statusOf = async (base: HttpWorld, token: string | undefined) => (await base.visit(token))?.status;

  describe('a token', () => {
    test('says who, for which grant and incident and role, at which tool, and until when', async () => {
      const base = await shared();
      const device = base.createDevice();
      const login = createLogin(base, {}, device);
      const issued = await login.issue();
      const token = device.tokenOf(issued);
      const nowSeconds = Math.floor(Date.now() / 1000);
      const { id } = base.keys.set.current;
      expect(decodeProtectedHeader(token)).toEqual({ alg: 'ES256', typ: 'at+jwt', kid: id });
      const claims = decodeJwt(token);
      expect(claims).toMatchObject({
        iss: base.brokerUrl,
        sub: 'ada',
        aud: base.settings.audience,
        jti: login.handle,
        client_id: 'oncall',
        grant: login.subject.grantId,
        incident: 'P1-123',
        resource: 'tool',
        role: 'read',
        roles: ['read'],
        exp: issued.expiresAtMs / 1000,
      });
      expect(Math.abs((claims.iat ?? 0) - nowSeconds)).toBeLessThanOrEqual(5);
      expect((claims.iat ?? 0) - (claims.nbf ?? 0)).toBe(60);
      expect(claims).not.toHaveProperty('probe');
    });

    test('lives a quarter of an hour at most, whatever is asked', async () => {
      const nowMs = Date.now();
      const { expiresAtMs } = await createLogin(await shared()).issue({ lifeMs: 86_400_000 });
      expect(expiresAtMs - nowMs).toBeLessThanOrEqual(901_000);
    });

    test('leaves the issuer sealed, and nothing else of it', async () => {
      const base = await shared();
      const sealed: string[] = [];
      const login = createLogin(
        base,
        {},
        {
          ...base.createDevice(),
          seal: async (secret) => {
            sealed.push(Buffer.from(secret).toString());
            return 'sealed';
          },
        },
      );
      const { publicPart } = await login.issue();
      expect(publicPart).toMatchObject({ kind: 'http', url: base.nginx.url, sealedToken: 'sealed' });
      const [, , signature = ''] = sealed[0]!.split('.');
      expect(JSON.stringify(publicPart)).not.toContain(signature);
    });

    test('tells the tool who comes, and is not shown to it', async () => {
      const base = await shared();
      const device = base.createDevice();
      const login = createLogin(base, { user: 'ada@example.com', incident: 'P1/2' }, device);
      const token = device.tokenOf(await login.issue());
      const { body } = (await base.visit(token))!;
      expect(JSON.parse(body)).toEqual({
        user: 'ada@example.com',
        role: 'read',
        grant: login.subject.grantId,
        incident: 'P1/2',
        authorization: null,
      });
    });

    test.each(HOSTILE)(
      'carries a user and an incident named %j as they are, and escapes them for headers',
      async (text) => {
        const base = await shared();
        const device = base.createDevice();
        const token = device.tokenOf(await createLogin(base, { user: text, incident: text }, device).issue());
        expect(decodeJwt(token)).toMatchObject({ sub: text.slice(0, 128), incident: text.slice(0, 128) });
        const told = JSON.parse((await base.visit(token))!.body) as { user: string };
        expect(decodeURIComponent(told.user)).toBe(text.slice(0, 128));
        expect(told.user).toMatch(/^[!-~]+$/);
      },
    );

    test('is verified by anybody with the published keys, in their order of life', async () => {
      const base = await shared();
      const reply = await fetch(new URL('/.well-known/jwks.json', base.brokerUrl));
      expect(reply.headers.get('content-type')).toContain('application/jwk-set+json');
      const set = (await reply.json()) as JSONWebKeySet;
      expect(set.keys.map(({ kid }) => kid)).toEqual(
        [base.keys.set.current, ...base.keys.set.others].map(({ id }) => id),
      );
      for (const key of set.keys) {
        expect(Object.keys(key).sort()).toEqual(['alg', 'crv', 'kid', 'kty', 'use', 'x', 'y']);
      }
      const { payload } = await jwtVerify(await tokenOf(base), createLocalJWKSet(set), {
        issuer: base.brokerUrl,
        audience: base.settings.audience,
        typ: 'at+jwt',
        algorithms: ['ES256'],
      });
      expect(payload.sub).toBe('ada');
    });
  });

  describe('a tool behind nginx refuses', () => {
    const seconds = (text: object) => Buffer.from(JSON.stringify(text)).toString('base64url');
    const now = () => Date.now();

    test('what is no good token of ours for it, and says no more than that', async () => {
      const base = await shared();
      const good = await tokenOf(base);
      expect(await statusOf(base, good)).toBe(200);
      const [header = '', payload = '', signature = ''] = good.split('.');
      const { current } = base.keys.set;
      const claims = decodeJwt(good);
      const signedAs = (head: object, body: object, key = current.privateKey) => {
        const text = `${seconds(head)}.${seconds(body)}`;
        const bytes = signBytes('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' });
        return `${text}.${bytes.toString('base64url')}`;
      };
      const head = { alg: 'ES256', typ: 'at+jwt', kid: current.id };
      expect(await statusOf(base, signedAs(head, claims))).toBe(200);
      const publicPem = createPublicKey(current.privateKey).export({ type: 'spki', format: 'pem' });
      const confused = `${seconds({ ...head, alg: 'HS256' })}.${payload}`;
      const stranger = newTokenKey();
      const ed = generateKeyPairSync('ed25519').privateKey;
      const edText = `${seconds({ ...head, alg: 'EdDSA' })}.${payload}`;
      const without = (name: string) =>
        Object.fromEntries(Object.entries(claims).filter(([key]) => key !== name));
      const bad: Record<string, string | undefined> = {
        'no token': undefined,
        'an edited payload': `${header}.${seconds({ ...claims, role: 'write' })}.${signature}`,
        'an edited signature': `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
        'no signature': `${header}.${payload}.`,
        'alg none': `${seconds({ ...head, alg: 'none' })}.${payload}.`,
        'the public key as an HMAC secret': `${confused}.${createHmac('sha256', publicPem).update(confused).digest('base64url')}`,
        'another algorithm': `${edText}.${signBytes(null, Buffer.from(edText), ed).toString('base64url')}`,
        'another key under our id': signedAs(head, claims, stranger.privateKey),
        'an unknown key': await tokenOf(base, {}, { key: stranger }),
        'a key that the token brings along': signedAs(
          { ...head, kid: 'x', jwk: createPublicKey(stranger.privateKey).export({ format: 'jwk' }) },
          claims,
          stranger.privateKey,
        ),
        'an unknown critical header': signedAs({ ...head, crit: ['x'], x: 1 }, claims),
        'another type': signedAs({ ...head, typ: 'JWT' }, claims),
        'another audience': await tokenOf(base, { audience: 'https://other.example/' }),
        'another tool of that audience': await tokenOf(base, { resource: 'other' }),
        'another issuer': await tokenOf(base, {}, { issuer: 'https://evil.example/' }),
        'a role that the tool has not': await tokenOf(base, { role: 'owner' }),
        'an expired one': await tokenOf(base, { expiresAtMs: now() - 2_000 }),
        'one that is not valid yet': await tokenOf(base, { notBeforeMs: now() + 60_000 }),
        'one without an end': signedAs(head, without('exp')),
        'one without an id': signedAs(head, without('jti')),
        'one that is too long': `${header}.${seconds({ ...claims, pad: 'x'.repeat(5_000) })}.${signature}`,
        'no JWT at all': 'AAAA',
      };
      const found: Record<string, number | undefined> = {};
      for (const [what, token] of Object.entries(bad)) found[what] = await statusOf(base, token);
      expect(found).toEqual(Object.fromEntries(Object.keys(bad).map((what) => [what, 401])));
    });

    test('one whose credential is not live, whatever it says of itself', async () => {
      const base = await shared();
      const id = 'e'.repeat(32);
      const token = await tokenOf(base, { id });
      const probe = await tokenOf(base, { id, probe: 'live' });
      const statuses = async () => [await statusOf(base, token), await statusOf(base, probe)];
      expect(await statuses()).toEqual([200, 200]);
      for (const row of [
        { state: 'issuing', expiresAt: now() + 60_000 },
        { state: 'ending', expiresAt: now() + 60_000 },
        { state: 'ended', expiresAt: now() + 60_000 },
        { state: 'live', expiresAt: now() - 1 },
      ]) {
        base.rows.set(id, row);
        expect(await statuses()).toEqual([401, 401]);
      }
      base.rows.delete(id);
      // Never recorded: nobody's, or one of the broker's own questions.
      expect(await statuses()).toEqual([401, 200]);
    });

    test('a key that has been rotated out, and takes those before and after', async () => {
      const base = await startHttpWorld();
      const old = base.keys.set.current;
      const [next] = base.keys.set.others;
      const token = await tokenOf(base);
      base.keys.set = { current: next!, others: [newTokenKey(), old] };
      expect(await statusOf(base, token)).toBe(200);
      expect(await statusOf(base, await tokenOf(base))).toBe(200);
      base.keys.set = { current: newTokenKey(), others: [newTokenKey(), next!] };
      expect(await statusOf(base, token)).toBe(401);
    });
  });

  describe('the end', () => {
    test('is not proven by a tool that verifies by itself, refuses everybody, redirects, or is not there', async () => {
      const base = await shared();
      const answers = {
        everybody: await startNginx({ server: 'return 200;' }),
        nobody: await startNginx({ server: 'return 401;' }),
        login: await startNginx({ server: 'return 302 /login;' }),
        broken: await startNginx({ server: 'return 502;' }),
      };
      const proofAt = async (url: string, caPem: string) => {
        const issuer = createHttpIssuer({ ...base.options, readCa: async () => caPem });
        const login = createLogin({ ...base, issuer, resource: httpResource(settingsFor(url)) });
        await login.issue();
        await login.end();
        return (await login.prove()).state;
      };
      for (const { url, caPem } of Object.values(answers)) expect(await proofAt(url, caPem)).toBe('expires');
      const { url, caPem, stop } = answers.everybody;
      await stop();
      expect(await proofAt(url, caPem)).toBe('expires');
      expect(await proofAt(base.nginx.url, answers.nobody.caPem)).toBe('expires');
    }, 20_000);

    test('needs no tool once the token has expired', async () => {
      const login = createLogin(await shared());
      const { expiresAtMs } = await login.issue();
      expect(await login.prove({ nowMs: expiresAtMs + 61_000 })).toMatchObject({ state: 'proven' });
    });
  });

  describe('where the installation has no keys for tokens', () => {
    test('nothing is issued, and that is said', async () => {
      const base = await shared();
      const issuer = createHttpIssuer({ ...base.options, keys: () => undefined });
      const login = createLogin({ ...base, issuer });
      expect(await codeOf(login.issue())).toBe('target_refused');
      expect(await login.end()).toEqual({ sessionsEnded: 0, leftovers: [] });
      expect((await login.prove()).state).toBe('expires');
      expect(await codeOf(issuer.check(base.resource, AbortSignal.timeout(5_000)))).toBe('target_refused');
    });
  });

  describe('the check', () => {
    const strangers = [
      'no token',
      'a token that somebody else has signed',
      'a token that has expired',
      'a token for another tool',
      'a token that was ended',
    ].map((what) => `${what} is refused`);
    async function missingAt(base: HttpWorld, url: string, caPem: string): Promise<string[]> {
      const issuer = createHttpIssuer({ ...base.options, readCa: async () => caPem });
      const found = await issuer.check(httpResource(settingsFor(url)), AbortSignal.timeout(20_000));
      for (const { ok, fix } of found) expect(fix === undefined).toBe(ok);
      return found.filter(({ ok }) => !ok).map(({ name }) => name);
    }

    test('gets in for real in each role, and is kept out as a stranger', async () => {
      const { issuer, resource } = await shared();
      const found = await issuer.check(resource, AbortSignal.timeout(20_000));
      expect(found.map(({ name, ok }) => [name, ok])).toEqual(
        ['login as read', 'login as write', ...strangers].map((name) => [name, true]),
      );
    });

    test('finds a tool that lets everybody in, one that lets nobody in, and one that is not there', async () => {
      const base = await shared();
      const open = await startNginx({ server: 'return 200;' });
      expect(await missingAt(base, open.url, open.caPem)).toEqual(strangers);
      const shut = await startNginx({ server: 'return 403;' });
      expect(await missingAt(base, shut.url, shut.caPem)).toEqual(['login as read', 'login as write']);
      await open.stop();
      expect(await missingAt(base, open.url, open.caPem)).toEqual(['reachable']);
    });
  });
});
