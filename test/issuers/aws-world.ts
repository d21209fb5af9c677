// An AWS account brought in the way the product tells its admin to: the guide's own policies, on a fake that evaluates them.

import { randomBytes } from 'node:crypto';
import { IAMClient, ListAccountAliasesCommand } from '@aws-sdk/client-iam';
import type { AwsRole, AwsSettings } from '../../src/catalogue/targets/aws.ts';
import type { Resource } from '../../src/catalogue/types.ts';
import { createAwsIssuer } from '../../src/issuers/aws.ts';
import { awsGuide, BROKER_PLACEHOLDER } from '../../src/issuers/aws-guide.ts';
import type { AwsSdk } from '../../src/issuers/aws-sdk.ts';
import type { Issued } from '../../src/issuers/issuer.ts';
import { atEnd } from '../support/at-end.ts';
import { ACCOUNT, BROKER_ARN, type FakeAws, type FakeSession, startFakeAws } from '../support/fakes/aws.ts';
import type { Device, World } from './contract.ts';

export interface AwsWorld extends World {
  aws: FakeAws;
  settings: AwsSettings;
  createDevice(): AwsDevice;
}

export interface AwsDevice extends Device {
  open(issued: Issued): Secret;
}

export interface Secret {
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
}

export const INSTALLATION = 'broker.example:7443+0123abcd';

export interface AwsWorldOptions {
  roles?: Record<string, Partial<AwsRole>>;
  loadSdk?: () => Promise<AwsSdk>;
}

export async function startAwsWorld(options: AwsWorldOptions = {}): Promise<AwsWorld> {
  const aws = await startFakeAws();
  atEnd(() => aws.close());
  const settings: AwsSettings = {
    kind: 'aws',
    region: aws.region,
    endpoints: { sts: aws.url, iam: aws.url, signIn: aws.signIn },
    broker: { accessKeyId: aws.key.accessKeyId, secretAccessKey: { env: 'AWS_BROKER_KEY' } },
    roles: rolesOf(options.roles ?? { read: {}, rds: { allow: ['rds:Describe*'] } }),
  };
  const resource = awsResource(settings);
  bringIn(aws, resource);
  const issuer = createAwsIssuer({
    installation: INSTALLATION,
    resolveSecret: async () => aws.key.secretAccessKey,
    now: Date.now,
    ...(options.loadSdk && { loadSdk: options.loadSdk }),
  });
  atEnd(() => issuer.close());
  return {
    aws,
    settings,
    issuer,
    resource,
    role: 'read',
    end: 'expires',
    createDevice: () => createDevice(aws),
  };
}

function rolesOf(roles: Record<string, Partial<AwsRole>>): Map<string, AwsRole> {
  return new Map(
    Object.entries(roles).map(([name, role]) => [
      name,
      {
        arn: `arn:aws:iam::${ACCOUNT}:role/oncall-read`,
        allow: undefined,
        rolesAnywhere: undefined,
        description: undefined,
        ...role,
      },
    ]),
  );
}

/** What the guide has an admin run, taken out of its text. */
export function bringIn(aws: FakeAws, resource: Resource): void {
  const { steps } = awsGuide(resource);
  doAsAdmin(aws, steps.map((step) => step.text).join('\n'));
}

/** What the lines of a guide do with the account. */
export function doAsAdmin(aws: FakeAws, lines: string): void {
  const text = lines.replaceAll(BROKER_PLACEHOLDER, BROKER_ARN);
  const files = new Map(
    [...text.matchAll(/^cat > (\S+) <<'ONCALL'\n([\s\S]*?)\nONCALL$/gm)].map(([, name = '', json = '']) => [
      name,
      json,
    ]),
  );
  aws.setBrokerPolicy(files.get('oncall-broker.json') ?? '');
  const creations = text.matchAll(
    /create-role --role-name (\S+)(?: --path (\S+))? --max-session-duration (\d+) --assume-role-policy-document file:\/\/(\S+)/g,
  );
  for (const [, name = '', path = '/', seconds, file = ''] of creations)
    aws.addRole(name, files.get(file) ?? '', { maxSessionSeconds: Number(seconds), path });
}

export function awsResource(target: AwsSettings, credentialSeconds = 900): Resource {
  return {
    id: 'aws-prod',
    description: undefined,
    service: 'orders',
    environment: 'production',
    sensitivity: 'high',
    defaultRole: [...target.roles.keys()][0] ?? '',
    roles: [...target.roles.keys()],
    session: { defaultSeconds: 7200, maxSeconds: 14_400, maxExtensions: 2 },
    credentialSeconds,
    phase: 1,
    breakGlass: undefined,
    canary: false,
    target,
  };
}

function createDevice(aws: FakeAws): AwsDevice {
  const sealed = new Map<string, Secret>();
  const device: AwsDevice = {
    material: { kind: 'aws' },
    async seal(secret) {
      const name = randomBytes(16).toString('base64url');
      sealed.set(name, JSON.parse(Buffer.from(secret).toString('utf8')) as Secret);
      return name;
    },
    open({ publicPart }) {
      const secret = publicPart.kind === 'aws' ? sealed.get(publicPart.sealed) : undefined;
      if (!secret) throw new Error('sealed to another device');
      return secret;
    },
    login: async (issued) => (await callWith(aws, device.open(issued))) === 'let in',
  };
  return device;
}

/** An AWS call as any tool makes it: what AWS says to it. GetCallerIdentity would not do, for nothing denies that. */
export async function callWith(aws: FakeAws, credentials: Secret): Promise<string> {
  const client = new IAMClient({ region: 'us-east-1', endpoint: aws.url, credentials, maxAttempts: 2 });
  try {
    await client.send(new ListAccountAliasesCommand({}));
    return 'let in';
  } catch (error) {
    if (error instanceof Error && '$metadata' in error) return error.name;
    throw error;
  } finally {
    client.destroy();
  }
}

export function sessionOf(aws: FakeAws, { accessKeyId }: Secret): FakeSession {
  const session = aws.sessions.find((one) => one.accessKeyId === accessKeyId);
  if (!session) throw new Error('no such session');
  return session;
}
