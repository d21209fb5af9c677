/**
 * `redis-cli`, which reads where to go from its arguments and the password from its environment, and neither from a file.
 * With one target `oncall run` puts the arguments in; the password is in the child's environment alone.
 */
import { basename, join } from 'node:path';
import type { ClientPaths } from '../paths.ts';
import { grantFolder } from '../session-paths.ts';
import type { ClientTarget, Held } from './client-target.ts';
import { plain, plainHost } from './config-text.ts';
import { createPassword } from './password.ts';

type Credential = Held<'redis'>;

export const REDIS: ClientTarget<'redis'> = {
  async createMaterial() {
    const { createHash } = await import('node:crypto');
    const password = createPassword();
    const verifier = createHash('sha256').update(password).digest('hex');
    return {
      material: { kind: 'redis', verifier },
      secretFor: async () => ({ kind: 'redis', password }),
    };
  },

  files: ({ publicPart }) => (publicPart.caPem === undefined ? {} : { 'ca.pem': publicPart.caPem }),

  joined: [],

  /** For several targets each name begins with the resource's: `CACHE_REDIS_HOST`. */
  environment(paths, credentials) {
    if (credentials.length === 1)
      return Object.assign({}, ...credentials.map((one) => variables(paths, one, '')));
    const prefixed = credentials.map((one) => variables(paths, one, prefixOf(one.target.resource)));
    return Object.assign({}, ...prefixed);
  },

  /** In front, so that what is typed behind them counts: with redis-cli the last of two is taken. */
  adaptCommand([program, ...args], paths, credentials) {
    const [first] = credentials;
    if (basename(program) !== 'redis-cli' || first === undefined || credentials.length > 1)
      return [program, ...args];
    const { publicPart } = first;
    const tls = publicPart.tls ? ['--tls', ...caOptions(paths, first)] : [];
    const address = ['-h', plainHost(publicPart.host), '-p', String(publicPart.port)];
    return [program, ...address, '--user', plain(publicPart.user), '--no-auth-warning', ...tls, ...args];
  },

  secretEnvironment: () => ({}),
  formats: {},
  usualFormat: 'env',
  tool: () => ['redis-cli'],
};

function variables(paths: ClientPaths, credential: Credential, prefix: string): Record<string, string> {
  const { publicPart, secret } = credential;
  const ca = caFile(paths, credential);
  return {
    [`${prefix}REDIS_HOST`]: plainHost(publicPart.host),
    [`${prefix}REDIS_PORT`]: String(publicPart.port),
    [`${prefix}REDIS_USER`]: plain(publicPart.user),
    [`${prefix}REDIS_TLS`]: publicPart.tls ? '1' : '0',
    ...(ca === undefined ? {} : { [`${prefix}REDIS_CA`]: ca }),
    // redis-cli reads the password from nowhere else, but arguments.
    [`${prefix}REDISCLI_AUTH`]: secret.password,
  };
}

/** Names of resources are letters, digits and dashes; a variable's may not begin with a digit. */
function prefixOf(resource: string): string {
  return `_${resource.toUpperCase().replace(/[^A-Z0-9]/g, '_')}_`.replace(/^_(?=[A-Z])/, '');
}

function caFile(paths: ClientPaths, { grantId, publicPart }: Credential): string | undefined {
  return publicPart.caPem === undefined ? undefined : join(grantFolder(paths, grantId), 'ca.pem');
}

function caOptions(paths: ClientPaths, credential: Credential): string[] {
  const file = caFile(paths, credential);
  return file === undefined ? [] : ['--cacert', file];
}
