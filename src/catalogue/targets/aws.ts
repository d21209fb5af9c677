/**
 * An AWS account: each role of the resource is an IAM role that the broker assumes for an engineer. `allow` narrows the session
 * below what the IAM role may, so that one IAM role can serve several roles of the resource.
 */
import type { Node } from 'yaml';
import { type Fields, readFields } from '../fields.ts';
import { readRoleEntries } from '../role-entries.ts';
import { readSecretRef } from '../secret-ref.ts';
import type { SecretRef } from '../types.ts';
import { isServiceUrl, URL_FORM } from '../url.ts';
import type { TargetReader } from './target-reader.ts';

export interface AwsRole {
  /** `arn:aws:iam::123456789012:role/oncall-read`; the partition says which AWS it is. */
  arn: string;
  /** Actions that the session may use, such as `rds:Describe*`; all that the role may where it is not given. */
  allow: readonly string[] | undefined;
  /** ARNs of IAM Roles Anywhere, for break-glass without a broker. */
  rolesAnywhere: { trustAnchor: string; profile: string } | undefined;
  description: string | undefined;
}

export interface AwsSettings {
  kind: 'aws';
  region: string;
  /** In place of AWS's own addresses: VPC endpoints, tests. */
  endpoints: { sts: string | undefined; iam: string | undefined; signIn: string | undefined };
  /** The broker's own key; without one, what the AWS SDK finds (environment, instance, pod, shared files). */
  broker: { accessKeyId: string; secretAccessKey: SecretRef } | undefined;
  roles: ReadonlyMap<string, AwsRole>;
}

const ROLE_ARN = /^arn:aws(?:-cn|-us-gov)?:iam::\d{12}:role\/(?:[\w+=,.@-]{1,64}\/){0,8}[\w+=,.@-]{1,64}$/;
const ANYWHERE_ARN =
  /^arn:aws(?:-cn|-us-gov)?:rolesanywhere:[a-z0-9-]{1,30}:\d{12}:(trust-anchor|profile)\/[0-9a-f-]{36}$/;
const REGION = /^[a-z]{2}(?:-[a-z]{2,12}){1,3}-\d$/;
const KEY_ID = /^[A-Z0-9]{16,128}$/;
const ACTION = /^(?:\*|[a-z0-9-]{1,64}:[A-Za-z0-9*?]{1,64})$/;
/** A session policy has 2,048 characters; the rest of ours takes 400. */
const MOST_ALLOW_CHARACTERS = 1500;

export const AWS: TargetReader<AwsSettings> = {
  keys: ['region', 'endpoints', 'broker'],
  // STS gives 15 minutes at least, and one hour at most to a broker that has assumed a role itself (role chaining).
  credentialSeconds: { least: 900, usual: 900, most: 3600 },
  read: readAws,
  secrets: ({ broker }) => [broker?.secretAccessKey],
  certificateFiles: () => [],
};

/** The settings of an aws resource; undefined after a finding where a required part is missing or wrong. */
function readAws(fields: Fields): AwsSettings | undefined {
  const region = fields.requiredMatching('region', (text) => REGION.test(text), 'a region like eu-west-1');
  const endpoints = fields.optional('endpoints', (node, path) =>
    readFields(fields.reader, node, path, ['sts', 'iam', 'signIn']),
  )?.value;
  const urlOf = (key: string) => endpoints?.matching(key, isServiceUrl, URL_FORM)?.value;
  const broker = readBroker(fields);
  const roles = readRoleEntries(fields, ['arn', 'allow', 'rolesAnywhere', 'description'], readRole);
  const accounts = new Set(
    [...(roles?.values() ?? [])].map(({ arn }) => arn.split(':').slice(0, 5).join(':')),
  );
  // The IAM API, which ends sessions, reaches no other account.
  if (accounts.size > 1) fields.reader.error(fields.node, `${fields.path} has roles of several accounts`);
  if (!region || !roles || broker === 'wrong') return undefined;
  return {
    kind: 'aws',
    region: region.value,
    endpoints: { sts: urlOf('sts'), iam: urlOf('iam'), signIn: urlOf('signIn') },
    broker,
    roles,
  };
}

function readBroker(fields: Fields): AwsSettings['broker'] | 'wrong' {
  if (!fields.has('broker')) return undefined;
  const { reader } = fields;
  const broker = fields.optional('broker', (node, path) =>
    readFields(reader, node, path, ['accessKeyId', 'secretAccessKey']),
  )?.value;
  const id = broker?.requiredMatching('accessKeyId', (text) => KEY_ID.test(text), 'an access key id');
  const secret = broker?.required('secretAccessKey', (node, path) => readSecretRef(reader, node, path));
  return id && secret ? { accessKeyId: id.value, secretAccessKey: secret.value } : 'wrong';
}

function readRole(role: Fields): AwsRole | undefined {
  const arn = role.requiredMatching('arn', (text) => ROLE_ARN.test(text), 'the ARN of an IAM role');
  const allow = role.texts('allow');
  for (const { value, node } of allow) {
    if (!ACTION.test(value)) role.reader.error(node, `${role.path}.allow names no action like rds:Describe*`);
  }
  if (allow.reduce((sum, { value }) => sum + value.length + 3, 0) > MOST_ALLOW_CHARACTERS) {
    role.reader.error(
      role.node,
      `${role.path}.allow is longer than a session policy can hold`,
      'use wildcards, or narrow the IAM role itself',
    );
  }
  if (role.has('allow') && allow.length === 0) role.reader.error(role.node, `${role.path}.allow is empty`);
  const anywhere = role.optional('rolesAnywhere', (node, path) => readAnywhere(role, node, path))?.value;
  return (
    arn && {
      arn: arn.value,
      allow: role.has('allow') ? allow.map(({ value }) => value) : undefined,
      rolesAnywhere: anywhere,
      description: role.text('description')?.value,
    }
  );
}

function readAnywhere({ reader }: Fields, node: Node, path: string): AwsRole['rolesAnywhere'] {
  const fields = readFields(reader, node, path, ['trustAnchor', 'profile']);
  const arnOf = (key: string, kind: string) =>
    fields?.requiredMatching(key, (text) => ANYWHERE_ARN.exec(text)?.[1] === kind, `the ARN of a ${kind}`);
  const trustAnchor = arnOf('trustAnchor', 'trust-anchor');
  const profile = arnOf('profile', 'profile');
  return trustAnchor && profile && { trustAnchor: trustAnchor.value, profile: profile.value };
}
