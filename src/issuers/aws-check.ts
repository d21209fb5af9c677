/**
 * What an AWS account needs, each requirement proven live: the broker's own key is taken, each role is assumed under a policy
 * that denies everything, and a deny for that very session is attached, read back and taken away.
 */
import { randomBytes } from 'node:crypto';
import type { Resource } from '../catalogue/types.ts';
import { isAppError } from '../protocol/errors.ts';
import { encodeBase32 } from '../protocol/ids.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import { attachDeny, findDeny, removeDeny } from './aws-denials.ts';
import { awsSettings, LEAST_SECONDS, roleNameOf, sessionName, sessionTags } from './aws-names.ts';
import { type AwsTargets, INSTALL } from './aws-sdk.ts';
import type { Requirement } from './issuer.ts';
import { fulfilled, missing } from './requirement.ts';

const DENY_ALL = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Deny', Action: '*', Resource: '*' }],
});
const PROBE_MS = 60_000;

/** Never throws for what AWS says: that is a requirement that is missing. */
export async function checkAws(
  targets: AwsTargets,
  resource: Resource,
  signal: AbortSignal,
  { now, installation }: { now: () => number; installation: string },
): Promise<readonly Requirement[]> {
  const { roles } = awsSettings(resource);
  const guide = `oncall broker target ${resource.id}   # shows the policies that go with it`;
  try {
    const who = await targets.use(resource, signal, async ({ sdk, sts }) => {
      const { Arn } = await sts.send(new sdk.sts.GetCallerIdentityCommand({}), { abortSignal: signal });
      return Arn ?? 'nobody';
    });
    const found: Requirement[] = [fulfilled('credentials', who)];
    for (const arn of new Set([...roles.values()].map((role) => role.arn))) {
      const handle = sessionName('check', encodeBase32(randomBytes(12)).slice(0, 19));
      found.push(await checkAssume(targets, resource, arn, handle, installation, signal, guide));
      found.push(await checkDeny(targets, resource, arn, handle, signal, now(), guide));
    }
    return found;
  } catch (error) {
    if (isAppError(error) && error.hint === INSTALL) return [missing('AWS SDK', error.message, INSTALL)];
    return [missing('credentials', reasonOf(error), guide)];
  }
}

async function checkAssume(
  targets: AwsTargets,
  resource: Resource,
  arn: string,
  handle: string,
  installation: string,
  signal: AbortSignal,
  fix: string,
): Promise<Requirement> {
  const name = `${roleNameOf(arn)}: assumed`;
  const seconds = Math.max(resource.credentialSeconds, LEAST_SECONDS);
  const subject = { grantId: `gr_${handle.slice(-19)}`, user: 'check', incident: 'check' };
  try {
    await targets.use(resource, signal, ({ sdk, sts }) => {
      const command = new sdk.sts.AssumeRoleCommand({
        RoleArn: arn,
        RoleSessionName: handle,
        SourceIdentity: handle,
        DurationSeconds: seconds,
        Tags: sessionTags(subject, installation),
        Policy: DENY_ALL,
      });
      return sts.send(command, { abortSignal: signal });
    });
    return fulfilled(name, `for ${seconds} s, with source identity and tags, under a policy that denies all`);
  } catch (error) {
    return missing(name, reasonOf(error), fix);
  }
}

async function checkDeny(
  targets: AwsTargets,
  resource: Resource,
  arn: string,
  handle: string,
  signal: AbortSignal,
  nowMs: number,
  fix: string,
): Promise<Requirement> {
  const name = `${roleNameOf(arn)}: ending sessions`;
  try {
    const found = await targets.use(resource, signal, async (call) => {
      const role = { call, name: roleNameOf(arn), signal };
      await attachDeny(role, handle, nowMs + PROBE_MS, nowMs);
      try {
        return await findDeny(role, handle, nowMs);
      } finally {
        await removeDeny(role, handle, nowMs);
      }
    });
    if (found === 'attached') return fulfilled(name, 'a deny was attached, read back and taken away');
    return missing(name, found === 'absent' ? 'what was attached is not there' : 'the role is gone', fix);
  } catch (error) {
    return missing(name, reasonOf(error), fix);
  }
}

/** Read by the broker's own admin at the broker's host, so the target's words are shown. */
function reasonOf(error: unknown): string {
  if (!isAppError(error)) return 'something went wrong inside oncall';
  const words = error.cause instanceof Error ? `: ${error.cause.message}` : '';
  return escapeForTerminal(`${error.message}${words}`).slice(0, 300);
}
