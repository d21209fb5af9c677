/** `psql` and everything else on libpq: a service file, and a password file or a certificate with its key. */
import { join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { formatTarget, parseTarget } from '../../protocol/names.ts';
import type { ClientPaths } from '../paths.ts';
import { grantFolder, joinedFile } from '../session-paths.ts';
import type { ClientTarget, Held, KnownTarget, PartOf } from './client-target.ts';
import { plain, unsafeValue } from './config-text.ts';
import { createPassword } from './password.ts';

type Part = PartOf<'postgres'>;

const NAMES = { certificate: 'cert.pem', key: 'key.pem', password: 'pgpass' };

export const POSTGRES: ClientTarget<'postgres'> = {
  prepare() {
    import('../../protocol/scram.ts').catch(() => {});
  },

  async createMaterial() {
    const { createScramVerifier } = await import('../../protocol/scram.ts');
    const password = createPassword();
    return {
      material: { kind: 'postgres', verifier: createScramVerifier(password) },
      secretFor: async () => ({ kind: 'postgres', password }),
    };
  },

  files(credential, folder) {
    const { publicPart, secret, target } = credential;
    const sections = [target.resource, formatTarget(target)];
    return {
      ...('password' in secret
        ? { [NAMES.password]: pgpassLine(publicPart, secret.password) }
        : { [NAMES.certificate]: certificateOf(publicPart), [NAMES.key]: secret.privateKey }),
      'pg_service.conf': sections.map((name) => serviceSection(name, credential, folder)).join(''),
      ...(publicPart.caPem === undefined ? {} : { 'ca.pem': publicPart.caPem }),
    };
  },

  joined: [NAMES.password, 'pg_service.conf'],

  toolFiles: ({ joined, known }) => ({ 'pg_service.conf': services(joined('pg_service.conf'), known) }),

  /** For one target the PG* variables; for several the files, with services named after the resource and `resource:role`. */
  environment(paths, credentials) {
    const [first] = credentials;
    if (first !== undefined && credentials.length === 1) return oneTarget(paths, first);
    return {
      PGSERVICEFILE: joinedFile(paths, 'pg_service.conf'),
      PGPASSFILE: joinedFile(paths, NAMES.password),
    };
  },

  secretEnvironment: (secret): Record<string, string> =>
    'password' in secret ? { PGPASSWORD: secret.password } : {},
  formats: { pgpass: NAMES.password },
  usualFormat: 'env',
  tool: () => ['psql'],
};

function oneTarget(paths: ClientPaths, credential: Held<'postgres'>): Record<string, string> {
  const { grantId, publicPart, secret } = credential;
  const folder = grantFolder(paths, grantId);
  const rootCert = rootCertificate(publicPart, folder);
  return {
    PGHOST: publicPart.host,
    PGPORT: String(publicPart.port),
    PGUSER: publicPart.user,
    PGDATABASE: publicPart.database,
    ...('password' in secret
      ? { PGPASSFILE: join(folder, NAMES.password) }
      : { PGSSLCERT: join(folder, NAMES.certificate), PGSSLKEY: join(folder, NAMES.key) }),
    PGSSLMODE: publicPart.sslMode,
    PGAPPNAME: applicationName(credential),
    ...(rootCert === undefined ? {} : { PGSSLROOTCERT: rootCert }),
  };
}

/** What the server's own log says of the session: `oncall audit who` leads back from it. PostgreSQL keeps 63 printable characters. */
function applicationName({ grantId, incident }: Held<'postgres'>): string {
  const name = incident === undefined ? `oncall ${grantId}` : `oncall ${grantId} ${incident}`;
  return name.replace(/[^A-Za-z0-9 ._@/+#-]/g, '_').slice(0, 63);
}

/** libpq manual, "The Password File": a backslash before every colon and backslash. */
function pgpassLine({ host, port, database, user }: Part, password: string): string {
  const fields = [host, String(port), database, user, password];
  return `${fields.map((field) => plain(field).replace(/[\\:]/g, '\\$&')).join(':')}\n`;
}

/** libpq manual, "The Connection Service File": the value is the rest of the line; there is no quoting. */
function serviceSection(name: string, credential: Held<'postgres'>, folder: string): string {
  // Attacker-controlled: a name with a line end would be more sections than one.
  if (parseTarget(name) === undefined) throw unsafeValue();
  const part = credential.publicPart;
  const rootCert = rootCertificate(part, folder);
  const settings = {
    host: part.host,
    port: String(part.port),
    dbname: part.database,
    user: part.user,
    ...('password' in credential.secret
      ? { passfile: join(folder, NAMES.password) }
      : { sslcert: join(folder, NAMES.certificate), sslkey: join(folder, NAMES.key) }),
    sslmode: part.sslMode,
    application_name: applicationName(credential),
    ...(rootCert === undefined ? {} : { sslrootcert: rootCert }),
  };
  const lines = Object.entries(settings).map(([key, value]) => `${key}=${plain(value)}`);
  return `[${name}]\n${lines.join('\n')}\n\n`;
}

/**
 * What is held, then a section for each that is not: a service file has no room for words, but libpq prints an address that is none,
 * looks it up nowhere and connects to nothing.
 */
function services(held: string, known: readonly KnownTarget[]): string {
  const sections = new Map<string, string>();
  for (const target of known) {
    sections.set(target.resource, target.resource);
    sections.set(formatTarget(target), formatTarget(target));
  }
  const missing = [...sections.keys()].filter((name) => !held.includes(`[${name}]\n`));
  const hints = missing.map((name) => `[${name}]\nhostaddr=no access now: oncall request ${name}\n\n`);
  return `# what you hold, and how to get the rest\n${held}${hints.join('')}`;
}

function certificateOf({ certificate }: Part): string {
  if (certificate !== undefined) return certificate;
  throw new AppError('corrupt_file', 'the certificate for the database is missing', {
    hint: 'oncall break-glass opens another',
  });
}

/** Without a CA of the catalogue's, verify-full means a publicly trusted server (libpq 16 and later). */
function rootCertificate(part: Part, folder: string): string | undefined {
  if (part.caPem !== undefined) return join(folder, 'ca.pem');
  return part.sslMode === 'verify-full' ? 'system' : undefined;
}
