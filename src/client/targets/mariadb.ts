/**
 * `mariadb` and everything else that reads option files: one of a single grant for `oncall run`, and one joined over all, with
 * a group for each resource, for `--defaults-group-suffix`.
 */
import { basename, join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { formatTarget } from '../../protocol/names.ts';
import type { ClientPaths } from '../paths.ts';
import { grantFolder, joinedFile } from '../session-paths.ts';
import type { ClientTarget, Held, ToolFilesInput } from './client-target.ts';
import { plain, plainHost } from './config-text.ts';
import { createPassword } from './password.ts';

type Credential = Held<'mariadb'>;

/** Programs of MariaDB's and MySQL's that log in, all of which take `--defaults-file` as their first word. */
const PROGRAM =
  /^(mariadb|mysql)(-(admin|analyze|binlog|check|dump|import|optimize|repair|show|slap)|admin|binlog|check|dump|import|show|slap)?$/;
const JOINED = 'mariadb/my.cnf';

export const MARIADB: ClientTarget<'mariadb'> = {
  async createMaterial() {
    const { createMariadbVerifier } = await import('../../protocol/mariadb-ed25519.ts');
    const password = createPassword();
    return {
      material: { kind: 'mariadb', verifier: createMariadbVerifier(password) },
      secretFor: async () => ({ kind: 'mariadb', password }),
    };
  },

  files(credential, folder) {
    const { caPem } = credential.publicPart;
    const { target } = credential;
    const suffixes = [`_${target.resource}`, `_${formatTarget(target)}`];
    return {
      'my.cnf': optionGroups(credential, '', folder),
      [JOINED]: suffixes.map((suffix) => optionGroups(credential, suffix, folder)).join(''),
      ...(caPem === undefined ? {} : { 'ca.pem': caPem }),
    };
  },

  joined: [JOINED],
  /** MariaDB takes the last of what stands twice, so the newest stands last. */
  join: (parts) => parts.toReversed().join(''),
  toolFiles: (input) => ({ 'mariadb.cnf': toolFile(input) }),

  /** Where the programs look for `my.cnf`: MariaDB's and MySQL's name of the variable. */
  environment(paths, credentials) {
    const home = homeOf(paths, credentials);
    return { MARIADB_HOME: home, MYSQL_HOME: home };
  },

  /** With the file alone, so that a user or a password in the person's own `~/.my.cnf` does not mix in. */
  adaptCommand([program, ...args], paths, credentials) {
    const hasOwn = args.some((word) => /^--(no-defaults|defaults-(extra-)?file)(=|$)/.test(word));
    if (!PROGRAM.test(basename(program)) || hasOwn) return [program, ...args];
    return [program, `--defaults-file=${join(homeOf(paths, credentials), 'my.cnf')}`, ...args];
  },

  secretEnvironment: ({ password }) => ({ MYSQL_PWD: password }),
  formats: { mycnf: 'my.cnf' },
  usualFormat: 'env',
  tool: () => ['mariadb'],
};

function homeOf(paths: ClientPaths, credentials: readonly Credential[]): string {
  const [first] = credentials;
  return first !== undefined && credentials.length === 1
    ? grantFolder(paths, first.grantId)
    : joinedFile(paths, 'mariadb');
}

/** `localhost` would mean a socket, hence `protocol`. The database is for the client alone: a dump takes it as an argument. */
function optionGroups({ publicPart, secret }: Credential, suffix: string, folder: string): string {
  const { sslMode, caPem } = publicPart;
  const lines = [
    `[client${suffix}]`,
    `host=${optionValue(plainHost(publicPart.host))}`,
    `port=${publicPart.port}`,
    'protocol=tcp',
    `user=${optionValue(publicPart.user)}`,
    `password=${optionValue(secret.password)}`,
    sslMode === 'disable' ? 'skip-ssl' : 'ssl',
    ...(sslMode === 'verify-full' ? ['ssl-verify-server-cert'] : ['skip-ssl-verify-server-cert']),
    ...(caPem === undefined ? [] : [`ssl-ca=${optionValue(join(folder, 'ca.pem'))}`]),
    `[mariadb-client${suffix}]`,
    `database=${optionValue(publicPart.database)}`,
  ];
  return `${lines.join('\n')}\n\n`;
}

/**
 * What is held is included, so no secret stands here. A group for each that is not held: an option file has no room for words, but a
 * socket that is none is printed, and reaches nothing.
 */
function toolFile({ paths, joined, known }: ToolFilesInput): string {
  const held = joined(JOINED);
  const names = new Set(known.flatMap((target) => [target.resource, formatTarget(target)]));
  const missing = [...names].filter((name) => !held.includes(`[client_${name}]\n`));
  const hints = missing.map(
    (name) => `[client_${name}]\nprotocol=socket\nsocket="no access now: oncall request ${name}"\n\n`,
  );
  const include = includeLine(joinedFile(paths, JOINED));
  return `# what you hold, and how to get the rest\n${include}\n\n${hints.join('')}`;
}

/** The path is the rest of the line, as it stands. Throws AppError `unsafe_file`. */
export function includeLine(path: string): string {
  if (path !== path.trim() || /[\u0000-\u001f\u007f]/.test(path)) {
    throw new AppError(
      'unsafe_file',
      'mariadb cannot include a path with control characters or a space at its end',
      {
        hint: 'set ONCALL_HOME to a folder without them',
      },
    );
  }
  return `!include ${path}`;
}

/** MariaDB manual, "Option Files": in quotes nothing begins a comment, and a backslash is written twice. */
function optionValue(value: string): string {
  if (value.includes('"')) {
    throw new AppError('unsafe_file', `mariadb cannot read the value ${value}`, {
      hint: 'set ONCALL_HOME to a folder without quotes',
    });
  }
  return `"${plain(value).replaceAll('\\', '\\\\')}"`;
}
