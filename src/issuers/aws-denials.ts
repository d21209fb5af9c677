/**
 * Ending AWS sessions. STS takes nothing back, so an inline policy on the role denies everything to one source identity, for
 * tokens issued until it goes: other sessions of the same role don't notice.
 *
 * Each deny is a policy of its own, whose name says what it denies and until when it is needed: nothing is read, changed and
 * written back, so that brokers side by side lose nothing of each other's. IAM holds 10,240 characters of inline policies for
 * a role, hence many are put together into one, which is written before those that it stands for go.
 */
import { randomBytes } from 'node:crypto';
import { encodeBase32 } from '../protocol/ids.ts';
import { requireSession, toSeconds } from './aws-names.ts';
import { type AwsCall, awsErrorName } from './aws-sdk.ts';

const ONE = /^oncall-end-(\d{1,11})-(oncall-[\w+=,.@-]+)$/;
const MANY = /^oncall-ends-(\d{1,11})-[0-9a-z]+$/;
const MERGE_AT = 16;
const PAGES = 20;

export interface Role {
  readonly call: AwsCall;
  /** Without its path. */
  readonly name: string;
  readonly signal: AbortSignal;
}

interface Denials {
  /** Policy names of one session each, and of several, that are still needed. */
  readonly ones: readonly { policy: string; handle: string; untilSeconds: number }[];
  readonly manies: readonly string[];
  readonly expired: readonly string[];
}

/** Denies everything to the session until `untilMs`, when it has ended by itself. Done again, it finds that done. */
export async function attachDeny(role: Role, handle: string, untilMs: number, nowMs: number): Promise<void> {
  const found = await listDenials(role, nowMs);
  if (found === 'no role') return;
  await remove(role, found.expired);
  if (await isDenied(role, handle, found)) return;
  const untilSeconds = Math.ceil(untilMs / 1000);
  await put(role, `oncall-end-${untilSeconds}-${requireSession(handle)}`, [handle], untilSeconds);
  if (found.ones.length + 1 >= MERGE_AT) await merge(role, found.ones);
}

/** `no role`: the role itself is gone, and with it what its sessions could do. */
export async function findDeny(
  role: Role,
  handle: string,
  nowMs: number,
): Promise<'attached' | 'absent' | 'no role'> {
  const found = await listDenials(role, nowMs);
  if (found === 'no role') return 'no role';
  return (await isDenied(role, handle, found)) ? 'attached' : 'absent';
}

/** Takes away the deny of one session that has not been put together with others. */
export async function removeDeny(role: Role, handle: string, nowMs: number): Promise<void> {
  const found = await listDenials(role, nowMs);
  if (found === 'no role') return;
  await remove(
    role,
    found.ones.filter((one) => one.handle === handle).map(({ policy }) => policy),
  );
}

/** Takes away every deny whose sessions have ended by themselves. */
export async function removeExpired(role: Role, nowMs: number): Promise<void> {
  const found = await listDenials(role, nowMs);
  if (found !== 'no role') await remove(role, found.expired);
}

async function listDenials(role: Role, nowMs: number): Promise<Denials | 'no role'> {
  const ones: { policy: string; handle: string; untilSeconds: number }[] = [];
  const manies: string[] = [];
  const expired: string[] = [];
  const policies = await listPolicies(role).catch(unlessGone);
  if (policies === undefined) return 'no role';
  for (const policy of policies) {
    const one = ONE.exec(policy);
    const until = Number(one?.[1] ?? MANY.exec(policy)?.[1]);
    if (Number.isNaN(until)) continue;
    if (until * 1000 <= nowMs) expired.push(policy);
    else if (one) ones.push({ policy, handle: one[2] ?? '', untilSeconds: until });
    else manies.push(policy);
  }
  return { ones, manies, expired };
}

async function listPolicies({ call, name, signal }: Role): Promise<string[]> {
  const names: string[] = [];
  let marker: string | undefined;
  for (let page = 0; page < PAGES; page++) {
    const command = new call.sdk.iam.ListRolePoliciesCommand({
      RoleName: name,
      ...(marker !== undefined && { Marker: marker }),
    });
    const { PolicyNames = [], IsTruncated, Marker } = await call.iam.send(command, { abortSignal: signal });
    names.push(...PolicyNames);
    if (!IsTruncated || Marker === undefined) break;
    marker = Marker;
  }
  return names;
}

/** Read back: a name alone would say what somebody meant to write. */
async function isDenied(role: Role, handle: string, { ones, manies }: Denials): Promise<boolean> {
  const policies = [...ones.filter((one) => one.handle === handle).map(({ policy }) => policy), ...manies];
  for (const policy of policies) if ((await readHandles(role, policy)).includes(handle)) return true;
  return false;
}

/** The source identities that a policy of ours denies; none where it is gone, or says something else. */
async function readHandles({ call, name, signal }: Role, policy: string): Promise<readonly string[]> {
  const command = new call.sdk.iam.GetRolePolicyCommand({ RoleName: name, PolicyName: policy });
  const answer = await call.iam.send(command, { abortSignal: signal }).catch(unlessGone);
  try {
    // The IAM API encodes documents as in a URL (RFC 3986).
    const document = JSON.parse(decodeURIComponent(answer?.PolicyDocument ?? '')) as unknown;
    const handles = identitiesIn(document);
    const until = Number((ONE.exec(policy) ?? MANY.exec(policy))?.[1]);
    return JSON.stringify(document) === documentOf(handles, until) ? handles : [];
  } catch {
    return [];
  }
}

/** Of a document of our own form; the caller compares the whole. */
function identitiesIn(document: unknown): readonly string[] {
  const [statement] = (document as { Statement: { Condition: { StringEquals: object } }[] }).Statement;
  const found = Object.values(statement?.Condition.StringEquals ?? {})[0] as unknown;
  return Array.isArray(found) ? found.filter((text) => typeof text === 'string') : [];
}

async function merge(role: Role, ones: Denials['ones']): Promise<void> {
  const untilSeconds = Math.max(...ones.map((one) => one.untilSeconds));
  const policy = `oncall-ends-${untilSeconds}-${encodeBase32(randomBytes(8))}`;
  await put(
    role,
    policy,
    ones.map(({ handle }) => handle),
    untilSeconds,
  );
  await remove(
    role,
    ones.map((one) => one.policy),
  );
}

async function put(
  { call, name, signal }: Role,
  policy: string,
  handles: readonly string[],
  untilSeconds: number,
): Promise<void> {
  const command = new call.sdk.iam.PutRolePolicyCommand({
    RoleName: name,
    PolicyName: policy,
    PolicyDocument: documentOf(handles, untilSeconds),
  });
  await call.iam.send(command, { abortSignal: signal });
}

async function remove({ call, name, signal }: Role, policies: readonly string[]): Promise<void> {
  for (const policy of policies) {
    const command = new call.sdk.iam.DeleteRolePolicyCommand({ RoleName: name, PolicyName: policy });
    await call.iam.send(command, { abortSignal: signal }).catch(unlessGone);
  }
}

function documentOf(handles: readonly string[], untilSeconds: number): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Statement: [
      {
        Effect: 'Deny',
        Action: '*',
        Resource: '*',
        Condition: {
          StringEquals: { 'aws:SourceIdentity': handles },
          DateLessThanEquals: { 'aws:TokenIssueTime': toSeconds(untilSeconds * 1000) },
        },
      },
    ],
  });
}

/** Undefined for what is not there (any more). */
function unlessGone(error: unknown): undefined {
  if (awsErrorName(error) === 'NoSuchEntity') return undefined;
  throw error;
}
