/**
 * AWS sessions: one AssumeRole per credential, under a source identity of its own. STS lets a session live 15 minutes at least
 * and takes none back: a session policy ends it at its minute, and whoever ends it sooner attaches a deny to the role. IAM
 * spreads that to all services in seconds, and nobody can ask whether it has: attached is what is recorded, not proven.
 */
import { AppError } from '../protocol/errors.ts';
import { formatInstant } from '../protocol/time.ts';
import { checkAws } from './aws-check.ts';
import { attachDeny, findDeny, type Role, removeExpired } from './aws-denials.ts';
import { awsGuide } from './aws-guide.ts';
import {
  awsRole,
  awsSettings,
  chooseSession,
  consoleOf,
  LEAST_SECONDS,
  MOST_SECONDS,
  requireSession,
  roleNameOf,
  sessionPolicy,
  sessionTags,
} from './aws-names.ts';
import { type AwsAccess, createAwsTargets } from './aws-sdk.ts';
import type { EndInput, Issued, IssueInput, Issuer, Proof } from './issuer.ts';

/** Clocks may be so far apart: for as long after its end a session may still be taken. */
const SKEW_MS = 60_000;
/** How often it is looked whether the deny is there still. Asking tells no more than that. */
const LOOK_AGAIN_MS = 120_000;

export interface AwsIssuerOptions extends AwsAccess {
  /** The broker's name at its targets. */
  installation: string;
  /** For `check`. Milliseconds since 1970. */
  now: () => number;
}

export function createAwsIssuer(options: AwsIssuerOptions): Issuer {
  const targets = createAwsTargets(options);

  async function issue(input: IssueInput): Promise<Issued> {
    const { subject, material, handle, nowMs, signal } = input;
    if (material.kind !== 'aws') throw new AppError('invalid_request', 'not a request for an AWS session');
    const settings = awsSettings(subject.resource);
    const role = awsRole(subject.resource, subject.role);
    const session = requireSession(handle);
    // Its policy names whole seconds.
    const endsAtMs = Math.floor(input.expiresAtMs / 1000) * 1000;
    const seconds = Math.min(Math.max(Math.ceil((endsAtMs - nowMs) / 1000), LEAST_SECONDS), MOST_SECONDS);
    return targets.use(subject.resource, signal, async ({ sdk, sts }) => {
      const command = new sdk.sts.AssumeRoleCommand({
        RoleArn: role.arn,
        RoleSessionName: session,
        SourceIdentity: session,
        DurationSeconds: seconds,
        Tags: sessionTags(subject, options.installation),
        Policy: sessionPolicy(role, endsAtMs),
      });
      const { Credentials } = await sts.send(command, { abortSignal: signal });
      const { AccessKeyId, SecretAccessKey, SessionToken, Expiration } = Credentials ?? {};
      if (!AccessKeyId || !SecretAccessKey || !SessionToken || !Expiration) {
        throw new AppError('target_refused', 'AWS has sent no credentials');
      }
      const secret = {
        accessKeyId: AccessKeyId,
        secretAccessKey: SecretAccessKey,
        sessionToken: SessionToken,
      };
      return {
        publicPart: {
          kind: 'aws',
          sealed: await input.seal(Buffer.from(JSON.stringify(secret))),
          role: role.arn,
          region: settings.region,
          sessionEndsAt: formatInstant(Expiration.getTime()),
          ...consoleOf(settings, role.arn),
        },
        expiresAtMs: Math.min(endsAtMs, Expiration.getTime()),
      };
    });
  }

  function withRole<T>({ subject, signal }: EndInput, work: (role: Role) => Promise<T>): Promise<T> {
    const name = roleNameOf(awsRole(subject.resource, subject.role).arn);
    return targets.use(subject.resource, signal, (call) => work({ call, name, signal }));
  }

  /** One after the other for each role: many at once would each find room for one more. */
  const ends = new Map<string, Promise<void>>();

  async function end(input: EndInput): Promise<void> {
    const { arn } = awsRole(input.subject.resource, input.subject.role);
    const mine = (ends.get(arn) ?? Promise.resolve()).then(() => endNow(input));
    const settled = mine.catch(() => undefined);
    ends.set(arn, settled);
    await mine.finally(() => {
      if (ends.get(arn) === settled) ends.delete(arn);
    });
  }

  async function endNow(input: EndInput): Promise<void> {
    const { nowMs, expiresAtMs } = input;
    const handle = requireSession(input.handle);
    const goneAtMs = expiresAtMs + SKEW_MS;
    if (nowMs >= goneAtMs) return withRole(input, (role) => removeExpired(role, nowMs));
    if (nowMs < expiresAtMs) return withRole(input, (role) => attachDeny(role, handle, goneAtMs, nowMs));
  }

  async function prove(input: EndInput): Promise<Proof> {
    const { nowMs, expiresAtMs } = input;
    const handle = requireSession(input.handle);
    const goneAtMs = expiresAtMs + SKEW_MS;
    if (nowMs >= goneAtMs) return { state: 'proven', method: 'the session has expired', at: nowMs };
    const expires = { state: 'expires', expiresAtMs: goneAtMs } as const;
    if (nowMs >= expiresAtMs) return { ...expires, method: 'its session policy ends it by the clock of AWS' };
    const method = 'deny attached to the role, by source identity and token issue time; not proven';
    const found = await withRole(input, (role) => findDeny(role, handle, nowMs));
    if (found === 'absent') return { state: 'unproven', method, reason: 'no deny is attached' };
    if (found === 'no role') return { ...expires, method: 'the role is gone; not proven' };
    return { ...expires, method, lookAgainMs: LOOK_AGAIN_MS };
  }

  return {
    kind: 'aws',
    expiry: 'target',
    renewal: 'reissue',
    chooseHandle: chooseSession,
    issue,
    async renew() {
      throw new AppError('internal', 'AWS sessions are issued anew, not renewed');
    },
    async end(input) {
      await end(input);
      return { sessionsEnded: 0, leftovers: [] };
    },
    prove,
    // AWS lists no sessions.
    survey: async () => ({ persists: false }),
    guide: awsGuide,
    check: (resource, signal) => checkAws(targets, resource, signal, options),
    async close() {
      targets.close();
    },
  };
}
