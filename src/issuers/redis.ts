/**
 * Redis logins: one ACL user a credential, with the role's rules and the SHA-256 of a password made on the device. Redis
 * knows no date for users: the broker ends them, and a timer at the target drops what outlived its time.
 */
import { AppError } from '../protocol/errors.ts';
import { countDown } from './count-down.ts';
import type { EndInput, Issued, IssueInput, Issuer, Proof, RenewInput } from './issuer.ts';
import { chooseLoginName, requireLoginName } from './login-names.ts';
import { checkRedis } from './redis-check.ts';
import {
  createRedisTargets,
  type RedisAccess,
  type RedisSession,
  redisSettings,
} from './redis-connection.ts';
import { redisGuide } from './redis-guide.ts';
import {
  countSessions,
  dateWord,
  dropLogin,
  exists,
  loginWords,
  makeLogin,
  prolongLogin,
  requireRoom,
} from './redis-login.ts';
import { surveyUsers } from './redis-survey.ts';

const VERIFIER = /^[0-9a-f]{64}$/;

export interface RedisIssuerOptions extends RedisAccess {
  /** The broker's name at its targets: tells its users from those of others. */
  installation: string;
  /** For `check`, which compares it with the target's clock. Milliseconds since 1970. */
  now: () => number;
}

export function createRedisIssuer(options: RedisIssuerOptions): Issuer {
  const targets = createRedisTargets(options);

  async function issue(input: IssueInput): Promise<Issued> {
    const { subject, material, handle, expiresAtMs, signal } = input;
    const remainingMs = countDown(input);
    const settings = redisSettings(subject.resource);
    if (material.kind !== 'redis' || !VERIFIER.test(material.verifier)) {
      throw new AppError('invalid_request', 'not a SHA-256 in hex, which Redis stores for a password');
    }
    const role = settings.roles.get(subject.role);
    if (!role) throw new AppError('target_refused', `${subject.resource.id} has no role ${subject.role}`);
    const name = requireLoginName(handle);
    const publicPart = await publicPartOf(subject.resource, name);
    await targets.use(subject.resource, signal, async (session) => {
      await requireRoom(session, subject, name);
      const words = loginWords(material.verifier, role.rules, dateOf(session, input, options.installation));
      await makeLogin(session, name, words, remainingMs);
    });
    return { publicPart, expiresAtMs };
  }

  async function renew(input: RenewInput): Promise<Issued> {
    const { subject, handle, expiresAtMs, signal } = input;
    const remainingMs = countDown(input);
    const name = requireLoginName(handle);
    const publicPart = await publicPartOf(subject.resource, name);
    await targets.use(subject.resource, signal, (session) =>
      prolongLogin(session, name, dateOf(session, input, options.installation), remainingMs),
    );
    return { publicPart, expiresAtMs };
  }

  async function prove({ subject, handle, nowMs, signal }: EndInput): Promise<Proof> {
    const name = requireLoginName(handle);
    const method = 'ACL GETUSER and CLIENT LIST, read back';
    return targets.use(subject.resource, signal, async (session) => {
      if (await exists(session, name)) return { state: 'unproven', method, reason: 'the user exists' };
      const sessions = await countSessions(session, name);
      if (sessions > 0) return { state: 'unproven', method, reason: 'sessions are open' };
      return { state: 'proven', method, at: nowMs };
    });
  }

  async function publicPartOf(
    resource: IssueInput['subject']['resource'],
    user: string,
  ): Promise<Issued['publicPart']> {
    const { host, port, tls, caFile } = redisSettings(resource);
    const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
    return { kind: 'redis', user, host, port, tls, ...(caPem !== undefined && { caPem }) };
  }

  return {
    kind: 'redis',
    expiry: 'broker',
    renewal: 'prolong',
    chooseHandle: chooseLoginName,
    issue,
    renew,
    async end({ subject, handle, signal }) {
      const name = requireLoginName(handle);
      const sessionsEnded = await targets.use(subject.resource, signal, (session) =>
        dropLogin(session, name),
      );
      // Keys have no owner, and the rules let nobody leave code behind.
      return { sessionsEnded, leftovers: [] };
    },
    prove,
    survey: (resource, signal) => surveyUsers(targets, resource, options.installation, signal),
    guide: redisGuide,
    check: (resource, signal) => checkRedis(targets, resource, signal, options.now),
    async close() {},
  };
}

/** Counted from now, so that it is right by the target's clock. */
function dateOf(
  { targetNowMs }: RedisSession,
  { subject, expiresAtMs, nowMs }: IssueInput | RenewInput,
  installation: string,
): string {
  return dateWord(targetNowMs + expiresAtMs - nowMs, subject, installation);
}
