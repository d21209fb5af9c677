/**
 * PostgreSQL logins: one role per credential, with the rights of a template role, a SCRAM verifier made on the device, and
 * a VALID UNTIL that renewals move. VALID UNTIL stops new logins only: ending also cuts the sessions.
 */
import type { PostgresSettings } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { isScramVerifier } from '../protocol/scram.ts';
import { countDown } from './count-down.ts';
import type { EndInput, Issued, IssueInput, Issuer, Proof, RenewInput } from './issuer.ts';
import { chooseLoginName, describeLogin, goneError, requireLoginName } from './login-names.ts';
import { checkPostgres } from './postgres-check.ts';
import {
  createPostgresTargets,
  type PostgresAccess,
  postgresSettings,
  sqlState,
} from './postgres-connection.ts';
import { endLogin } from './postgres-end.ts';
import { postgresGuide } from './postgres-guide.ts';
import { mayMake, readLogin } from './postgres-login.ts';
import { loginText, prolongText } from './postgres-sql.ts';
import { surveyRoles } from './postgres-survey.ts';

const DUPLICATE_OBJECT = '42710';
const UNDEFINED_OBJECT = '42704';

export interface PostgresIssuerOptions extends PostgresAccess {
  /** The broker's name at its targets, without spaces and commas: tells its roles from those of others. */
  installation: string;
  /** For `check`, which compares it with the target's clock. Milliseconds since 1970. */
  now: () => number;
}

export function createPostgresIssuer(options: PostgresIssuerOptions): Issuer {
  const targets = createPostgresTargets(options);

  async function issue(input: IssueInput): Promise<Issued> {
    const { subject, material, handle, expiresAtMs, signal } = input;
    const remainingMs = countDown(input);
    const settings = postgresSettings(subject.resource);
    if (material.kind !== 'postgres' || !isScramVerifier(material.verifier)) {
      throw new AppError(
        'invalid_request',
        'not a SCRAM-SHA-256 verifier of the form that PostgreSQL stores',
      );
    }
    const role = settings.roles.get(subject.role);
    if (!role) throw new AppError('target_refused', `${subject.resource.id} has no role ${subject.role}`);
    const name = requireLoginName(handle);
    const publicPart = await publicPartOf(settings, name);
    await targets.use(subject.resource, { signal }, async (session) => {
      const exists = await mayMake(session, name, subject.resource);
      const text = {
        name,
        verifier: material.verifier,
        template: role.template,
        comment: describeLogin(subject, options.installation),
        expiresAtMs,
        deadlineMs: session.targetNowMs + remainingMs(),
        version: session.version,
      };
      try {
        await session.query(loginText({ ...text, exists }));
      } catch (error) {
        // The same call, made twice at once.
        if (exists || sqlState(error) !== DUPLICATE_OBJECT) throw error;
        await session.query(loginText({ ...text, exists: true }));
      }
    });
    return { publicPart, expiresAtMs };
  }

  async function renew(input: RenewInput): Promise<Issued> {
    const { subject, handle, expiresAtMs, signal } = input;
    const remainingMs = countDown(input);
    const name = requireLoginName(handle);
    const publicPart = await publicPartOf(postgresSettings(subject.resource), name);
    await targets.use(subject.resource, { signal }, async (session) => {
      if ((await readLogin(session, name)) !== 'open') throw goneError(name);
      try {
        await session.query(prolongText(name, expiresAtMs, session.targetNowMs + remainingMs()));
      } catch (error) {
        throw sqlState(error) === UNDEFINED_OBJECT ? goneError(name, error) : error;
      }
    });
    return { publicPart, expiresAtMs };
  }

  async function prove({ subject, handle, nowMs, signal }: EndInput): Promise<Proof> {
    const name = requireLoginName(handle);
    const method = 'pg_roles and pg_stat_activity, read back';
    return targets.use(subject.resource, { signal }, async (session) => {
      const login = await readLogin(session, name);
      if (login !== 'absent') return { state: 'unproven', method, reason: `the role exists (${login})` };
      const [row] = await session.query<{ sessions: number }>(
        'select count(*)::int as sessions from pg_stat_activity where usename = $1',
        [name],
      );
      if (row?.sessions !== 0) return { state: 'unproven', method, reason: 'sessions are open' };
      return { state: 'proven', method, at: nowMs };
    });
  }

  async function publicPartOf(settings: PostgresSettings, user: string): Promise<Issued['publicPart']> {
    const { host, port, database, sslMode, caFile } = settings;
    const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
    return { kind: 'postgres', user, host, port, database, sslMode, ...(caPem !== undefined && { caPem }) };
  }

  return {
    kind: 'postgres',
    expiry: 'target',
    renewal: 'prolong',
    chooseHandle: chooseLoginName,
    issue,
    renew,
    end: (input) => endLogin(targets, input),
    prove,
    survey: (resource, signal) => surveyRoles(targets, resource, options.installation, signal),
    guide: postgresGuide,
    check: (resource, signal) => checkPostgres(targets, resource, signal, options.now),
    close: () => targets.close(),
  };
}
