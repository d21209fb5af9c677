// Whose a bearer token is, and tokens of service accounts: good while the account of that UID is there. As the real API server
// does, this one remembers for ten seconds that a token was good.
import { createHmac, randomBytes } from 'node:crypto';
import { Failure, type KubeObject } from './kubernetes-objects.ts';
import type { User } from './kubernetes-rbac.ts';

const TOKEN_CACHE_MS = 10_000;

export interface KubeTokens {
  /** Of a user in `system:masters`. */
  readonly adminToken: string;
  /** Throws Failure 401. */
  authenticate(header: string | undefined): User;
  createToken(account: KubeObject, seconds: number): { token: string; expirationTimestamp: string };
}

export function createKubeTokens(objects: ReadonlyMap<string, KubeObject>, nowMs: () => number): KubeTokens {
  const adminToken = randomBytes(24).toString('base64url');
  const signingKey = randomBytes(32);
  const remembered = new Map<string, { user: User; untilMs: number }>();

  function authenticate(header: string | undefined): User {
    const token = /^Bearer ([A-Za-z0-9._~+/-]+=*)$/.exec(header ?? '')?.[1];
    if (token === undefined) throw new Failure(401, 'Unauthorized', 'Unauthorized');
    if (token === adminToken) {
      return { name: 'kubernetes-admin', groups: ['system:masters', 'system:authenticated'] };
    }
    const known = remembered.get(token);
    if (known !== undefined && known.untilMs > Date.now()) return known.user;
    const user = userOfToken(token);
    if (user === undefined) throw new Failure(401, 'Unauthorized', 'Unauthorized');
    remembered.set(token, { user, untilMs: Date.now() + TOKEN_CACHE_MS });
    return user;
  }

  function userOfToken(token: string): User | undefined {
    const [head, payload = '', signature] = token.split('.');
    if (signature !== sign(`${head}.${payload}`)) return undefined;
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as {
      exp: number;
      namespace: string;
      name: string;
      uid: string;
    };
    const { namespace, name, uid } = claims;
    const account = objects.get(`/api/v1/namespaces/${namespace}/serviceaccounts/${name}`);
    if (claims.exp * 1000 <= nowMs() || account?.metadata.uid !== uid) return undefined;
    const groups = ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'];
    return { name: `system:serviceaccount:${namespace}:${name}`, groups, uid };
  }

  function sign(text: string): string {
    return createHmac('sha256', signingKey).update(text).digest('base64url');
  }

  function createToken(account: KubeObject, seconds: number) {
    const { namespace, name, uid } = account.metadata;
    const exp = Math.floor(nowMs() / 1000) + seconds;
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const text = `${encode({ alg: 'HS256' })}.${encode({ exp, namespace, name, uid })}`;
    return {
      token: `${text}.${sign(text)}`,
      expirationTimestamp: new Date(exp * 1000).toISOString().replace('.000Z', 'Z'),
    };
  }

  return { adminToken, authenticate, createToken };
}
