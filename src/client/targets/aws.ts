/**
 * `aws` and everything else on an AWS SDK: a configuration file with a profile whose `credential_process` reads a file beside
 * it. The SDKs start it again when what it gave is about to expire, so a long run picks up each renewal.
 */
import { join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { isPartName, type TargetRef } from '../../protocol/names.ts';
import type { ClientPaths } from '../paths.ts';
import { grantFolder, joinedFile } from '../session-paths.ts';
import type { ClientTarget, Held, SecretOf, ToolFilesInput } from './client-target.ts';
import { plain, unsafeValue } from './config-text.ts';

const CONFIG = 'aws_config';
const PROCESS = 'aws-process.json';
const SECRET = {
  accessKeyId: /^\w{16,128}$/,
  secretAccessKey: /^[\w+/=]{16,128}$/,
  sessionToken: /^[\w+/=-]+$/,
};

export const AWS: ClientTarget<'aws'> = {
  async createMaterial() {
    return {
      material: { kind: 'aws' },
      secretFor: async ({ sealed }, unseal) => readSecret(Buffer.from(await unseal(sealed)).toString('utf8')),
    };
  },

  files({ publicPart, secret, target, receivedAtMs, lifeSeconds }, folder) {
    const { region } = publicPart;
    if (!/^[a-z0-9-]{1,32}$/.test(region) || !isPartName(target.resource) || !isPartName(target.role))
      throw unsafeValue();
    const command = `cat ${quoted(join(folder, PROCESS))}`;
    return {
      // By this machine's clock, which is what tools go by.
      [PROCESS]: processAnswer(secret, receivedAtMs + lifeSeconds * 1000),
      [CONFIG]: profileNames(target)
        .map((name) => section(name, region, command))
        .join(''),
    };
  },

  joined: [CONFIG],

  /** A profile that is there twice is an error to the AWS CLI: the newest grant's comes first and stays. */
  join(parts) {
    const sections = parts.flatMap((part) => part.split(/^(?=\[)/m));
    const byHeader = new Map<string, string>();
    for (const section of sections) {
      const [header = ''] = section.split('\n', 1);
      if (header !== '' && !byHeader.has(header)) byHeader.set(header, section);
    }
    return [...byHeader.values()].join('');
  },

  toolFiles: (input) => ({ [CONFIG]: toolConfig(input) }),

  /** For several, the first is the default profile; all are there by their names. */
  environment(paths, credentials) {
    const [first] = credentials;
    const region = first === undefined ? '' : first.publicPart.region;
    return {
      AWS_CONFIG_FILE: configFile(paths, credentials),
      // There is none: a profile of the same name in the person's own would come first.
      AWS_SHARED_CREDENTIALS_FILE: joinedFile(paths, 'aws_credentials'),
      AWS_PROFILE: first === undefined ? '' : profileNames(first.target)[1],
      AWS_REGION: region,
      AWS_DEFAULT_REGION: region,
      // Keys in the environment would come before the profile; empty, they count as not set.
      AWS_ACCESS_KEY_ID: '',
      AWS_SECRET_ACCESS_KEY: '',
      AWS_SESSION_TOKEN: '',
    };
  },

  secretEnvironment: ({ accessKeyId, secretAccessKey, sessionToken }) => ({
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_SESSION_TOKEN: sessionToken,
  }),
  formats: { 'aws-process': PROCESS },
  goodUntilMs: processAnswerEnd,
  usualFormat: 'env',
  // The interactive mode of version 2.
  tool: () => ['aws', '--cli-auto-prompt'],

  console: {
    endsAt: ({ sessionEndsAt }) => sessionEndsAt,
    open: async (credential, options) =>
      (await import('./aws-console.ts')).requestConsoleLink(credential, options),
  },
};

/** Never the name of a profile that somebody has already: one that is there twice stops every `aws`. No resource's name has a colon. */
function profileNames({ resource, role }: TargetRef): readonly [string, string] {
  return [`${resource}-oncall`, `${resource}-oncall:${role}`];
}

function section(name: string, region: string | undefined, command: string): string {
  const place = region === undefined ? '' : `region = ${region}\n`;
  return `[profile ${name}]\n${place}credential_process = ${command}\n\n`;
}

/**
 * A profile for all that was ever held. The command that it starts renews what is due, and where nothing is held says how to get
 * it; the region is that of what is held now.
 */
function toolConfig({ paths, joined, known }: ToolFilesInput): string {
  const held = joined(CONFIG);
  const isDefault = paths.profile === 'default';
  const sections = new Map<string, string>();
  for (const target of known) {
    const words = [target.resource, `${target.resource}:${target.role}`];
    for (const [index, name] of profileNames(target).entries()) {
      const region = new RegExp(`^\\[profile ${name}\\]\\nregion = ([a-z0-9-]+)$`, 'm').exec(held)?.[1];
      const command = `oncall credential ${words[index]} --format aws-process`;
      sections.set(
        name,
        isDefault
          ? section(name, region, command)
          : section(`${name}@${paths.profile}`, region, `${command} --profile ${paths.profile}`),
      );
    }
  }
  return [...sections.values()].join('');
}

function configFile(paths: ClientPaths, credentials: readonly Held<'aws'>[]): string {
  const [first] = credentials;
  return first !== undefined && credentials.length === 1
    ? join(grantFolder(paths, first.grantId), CONFIG)
    : joinedFile(paths, CONFIG);
}

/** AWS SDKs and Tools Reference, "Process credential provider". */
function processAnswer(secret: SecretOf<'aws'>, endsAtMs: number): string {
  return `${JSON.stringify({
    Version: 1,
    AccessKeyId: secret.accessKeyId,
    SecretAccessKey: secret.secretAccessKey,
    SessionToken: secret.sessionToken,
    Expiration: new Date(endsAtMs).toISOString().replace(/\.\d+Z$/, 'Z'),
  })}\n`;
}

/** When what it gives ends, milliseconds since 1970; 0 where it is damaged. */
function processAnswerEnd(text: string): number {
  try {
    return Date.parse((JSON.parse(text) as { Expiration: string }).Expiration) || 0;
  } catch {
    return 0;
  }
}

function readSecret(text: string): SecretOf<'aws'> {
  const values = parse(text);
  const read = (name: keyof typeof SECRET) => {
    const value = values[name];
    if (typeof value !== 'string' || !SECRET[name].test(value)) throw notCredentials();
    return value;
  };
  return {
    kind: 'aws',
    accessKeyId: read('accessKeyId'),
    secretAccessKey: read('secretAccessKey'),
    sessionToken: read('sessionToken'),
  };
}

function parse(text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch {
    throw notCredentials();
  }
}

function notCredentials(): AppError {
  return new AppError('corrupt_file', 'what the broker has sealed are no AWS credentials', {
    hint: 'oncall renew --no-extend fetches others',
  });
}

/** Some SDKs hand the line to a shell, others split it as one would. Nothing is special between single quotes but the quote. */
function quoted(path: string): string {
  return `'${plain(path).replaceAll("'", "'\\''")}'`;
}
