/**
 * What AWS is told about a login, in the characters and lengths that it allows (STS API reference, AssumeRole):
 * `oncall-<user>-<19 characters of the credential's id>` as role session name and as source identity, which CloudTrail shows
 * beside every call; user, grant and incident as session tags; and a session policy that ends the session at its minute.
 */
import type { AwsRole, AwsSettings } from '../catalogue/targets/aws.ts';
import type { Resource } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { isId } from '../protocol/ids.ts';
import type { CredentialSubject } from './issuer.ts';

/** What STS gives; above an hour nothing to a broker that has assumed a role itself (role chaining). */
export const LEAST_SECONDS = 900;
export const MOST_SECONDS = 3600;
/** 64 characters: `oncall-` + 37 + `-` + 19. */
const SLUG_LENGTH = 37;
const HANDLE = /^oncall-[\w+=,.@-]{1,37}-[0-9a-hjkmnp-tv-z]{19}$/;
/** A value has 256 characters, counted in UTF-16 or not. */
const MOST_TAG_CHARACTERS = 128;

/** The keys of the session tags: of our own, so that no attribute that a company's policies rest on can be set by a name. */
export const TAG_KEYS = ['oncall-user', 'oncall-grant', 'oncall-incident', 'oncall-broker'] as const;
/** What every source identity of ours is like, for a trust policy. */
export const HANDLE_PATTERN = 'oncall-*';

/** The same subject always gets the same. Throws AppError `internal` for a credential id that is not one. */
export function chooseSession({ credentialId, user }: CredentialSubject): string {
  if (!isId(credentialId)) throw new AppError('internal', 'not a credential id');
  return sessionName(user, credentialId.slice(-19));
}

/** A name that `unique` (19 characters of our base 32) makes unique: no deny for one login hits another. */
export function sessionName(user: string, unique: string): string {
  const slug = user.replace(/[^A-Za-z0-9_+=,.@-]+/g, '_').slice(0, SLUG_LENGTH);
  return `oncall-${slug || 'user'}-${unique}`;
}

/** Nothing that this issuer did not name may get into a policy. */
export function requireSession(handle: string): string {
  if (!HANDLE.test(handle)) throw new AppError('internal', 'not the name of an AWS session');
  return handle;
}

export function sessionTags(
  { user, grantId, incident }: Pick<CredentialSubject, 'user' | 'grantId' | 'incident'>,
  installation: string,
): { Key: string; Value: string }[] {
  const [userKey, grantKey, incidentKey, brokerKey] = TAG_KEYS;
  return [
    { Key: userKey, Value: tagValue(user) },
    { Key: grantKey, Value: tagValue(grantId) },
    ...(incident === undefined ? [] : [{ Key: incidentKey, Value: tagValue(incident) }]),
    { Key: brokerKey, Value: tagValue(installation) },
  ];
}

/**
 * The session can do what the role may and `allow` names, until then; STS itself knows no session below 15 minutes. It leads
 * into no other role: the deny that ends it would not reach there.
 */
export function sessionPolicy({ allow }: Pick<AwsRole, 'allow'>, endsAtMs: number): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      { Effect: 'Allow', Action: allow ?? '*', Resource: '*' },
      { Effect: 'Deny', Action: 'sts:AssumeRole', Resource: '*' },
      {
        Effect: 'Deny',
        Action: '*',
        Resource: '*',
        Condition: { DateGreaterThanEquals: { 'aws:CurrentTime': toSeconds(endsAtMs) } },
      },
    ],
  });
}

/** `2026-01-05T09:00:00Z`, the second that has begun. */
export function toSeconds(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

export function awsSettings({ id, target }: Resource): AwsSettings {
  if (target.kind !== 'aws') throw new AppError('internal', `${id} is not an AWS account`);
  return target;
}

/** Throws AppError `target_refused` for a role that the resource does not have. */
export function awsRole(resource: Resource, name: string): AwsRole {
  const role = awsSettings(resource).roles.get(name);
  if (!role) throw new AppError('target_refused', `${resource.id} has no role ${name}`);
  return role;
}

/** The name of a role without its path: what the IAM API takes. */
export function roleNameOf(arn: string): string {
  return arn.slice(arn.lastIndexOf('/') + 1);
}

/** Where people sign in, by the partition in the role's ARN (AWS General Reference, "AWS sign-in endpoints"). */
export function consoleOf(
  { region, endpoints }: AwsSettings,
  arn: string,
): { signIn: string; console: string } {
  const domain = DOMAINS[arn.split(':')[1] ?? ''] ?? 'aws.amazon.com';
  return {
    signIn: endpoints.signIn ?? `https://signin.${domain}/federation`,
    console: `https://console.${domain}/console/home?region=${region}`,
  };
}

const DOMAINS: Readonly<Record<string, string>> = {
  'aws-cn': 'amazonaws.cn',
  'aws-us-gov': 'amazonaws-us-gov.com',
};

/** IAM User Guide, "Tag naming limits": letters, digits, spaces and `_.:/=+-@`. */
function tagValue(text: string): string {
  return [...text.replace(/[^\p{L}\p{N} _.:/=+\-@]/gu, '_')].slice(0, MOST_TAG_CHARACTERS).join('');
}
