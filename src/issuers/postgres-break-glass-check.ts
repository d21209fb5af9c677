/** Whether the server lets in the break-glass CA as the standing role and as nobody else, and nobody else as that role. */
import { generateKeyPairSync } from 'node:crypto';
import pg from 'pg';
import type { Resource } from '../catalogue/types.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import { createNamedLogin, type NamedLogin, PROBE_LIFE_MS, waitForRefusal } from './break-glass-check.ts';
import { pulledFiles } from './break-glass-pull.ts';
import type { Requirement } from './issuer.ts';
import { identLine, namesOf, type PostgresBreakGlassOptions } from './postgres-break-glass.ts';
import { postgresSettings, quoteName, sqlState, tlsOptions } from './postgres-connection.ts';
import { fulfilled, missing, reasonOf } from './requirement.ts';
import { createX509Ca } from './x509-ca.ts';

const CONNECT_MS = 5_000;

interface Answer {
  answer: 'let in' | 'refused' | 'unknown';
  detail: string;
  /** Of whoever was let in. */
  rights?: { super: boolean; member: boolean };
}

export async function checkPostgresBreakGlass(
  resource: Resource,
  signal: AbortSignal,
  options: PostgresBreakGlassOptions,
): Promise<readonly Requirement[]> {
  const { cas, x509Ca, revocations, now, listUrl, revocationWaitMs: waitMs } = options;
  const settings = postgresSettings(resource);
  const guide = `oncall broker target ${resource.id}   # its steps for break-glass`;
  const made: NamedLogin[] = [];
  const certify = async (name: string) => {
    const login = await createNamedLogin(cas.x509, { name }, now());
    made.push(login);
    return login;
  };
  const logIn = (user: string, template: string, login: NamedLogin | undefined) =>
    ask(resource, options, { user, template, login, signal });

  const found: Requirement[] = [];
  const entered: (() => Promise<boolean>)[] = [];
  const unknownCa = await createX509Ca(generateKeyPairSync('ed25519').privateKey, listUrl);
  try {
    for (const { role, name, template } of namesOf(resource)) {
      const own = await certify(name);
      const { answer, detail, rights } = await logIn(name, template, own);
      const title = `break-glass as ${role}`;
      if (answer !== 'let in') {
        found.push(missing(title, detail, `${identLine(name)}   # in pg_ident.conf; ${guide}`));
        continue;
      }
      entered.push(async () => (await logIn(name, template, own)).answer === 'refused');
      found.push(
        rights?.super || !rights?.member
          ? missing(title, `${name} does not have the rights of ${template}, or more`, guide)
          : fulfilled(title, `let in as ${name}, with the rights of ${template}`),
      );
      const others = namesOf(resource).filter((other) => other.name !== name);
      const strangers: [what: string, user: string, login: NamedLogin | undefined][] = [
        ['no certificate', name, undefined],
        ['another CA', name, await createNamedLogin(unknownCa, { name }, now())],
        ['the usual CA', name, await createNamedLogin(x509Ca, { name }, now())],
        ['the name of another resource', name, await certify(`${name}-oncall-check`)],
        [
          `the break-glass CA as ${settings.broker.user}`,
          settings.broker.user,
          await certify(settings.broker.user),
        ],
        ...(await Promise.all(
          others.map(
            async (other): Promise<[string, string, NamedLogin]> => [
              `${name} as ${other.name}`,
              other.name,
              own,
            ],
          ),
        )),
      ];
      for (const [what, user, login] of strangers) {
        const { answer: got, detail: words } = await logIn(user, template, login);
        const test = `${role}: ${what} is refused`;
        found.push(got === 'refused' ? fulfilled(test, words) : missing(test, words, guide));
      }
    }
  } finally {
    const expiresAtMs = now() + PROBE_LIFE_MS;
    for (const { serial } of made)
      await revocations.revoke({ list: 'break-glass-x509', serial, expiresAtMs });
  }
  const { crl, unit } = pulledFiles(resource);
  const lists = entered.map((isRefused) =>
    waitForRefusal(`${settings.host}:${settings.port}`, isRefused, {
      ...{ waitMs, signal },
      fix: `systemctl status ${unit}.timer   # and ssl_crl_file ${crl}`,
    }),
  );
  return [...found, ...(await Promise.all(lists))];
}

async function ask(
  resource: Resource,
  options: PostgresBreakGlassOptions,
  asked: { user: string; template: string; login: NamedLogin | undefined; signal: AbortSignal },
): Promise<Answer> {
  const { user, template, login, signal } = asked;
  const settings = postgresSettings(resource);
  const { host, port, database, sslMode } = settings;
  const tls = await tlsOptions(
    { ...settings, sslMode: sslMode === 'disable' ? 'require' : sslMode },
    options.readCa,
  );
  const client = new pg.Client({
    ...{ host, port, database, user },
    ssl: { ...(tls || {}), ...(login && { cert: login.certificate, key: login.key }) },
    connectionTimeoutMillis: CONNECT_MS,
    query_timeout: CONNECT_MS,
    application_name: 'oncall broker',
  });
  client.on('error', () => undefined);
  const stop = () => void client.end().catch(() => undefined);
  signal.addEventListener('abort', stop, { once: true });
  try {
    await client.connect();
    const { rows } = await client.query<{ super: boolean; member: boolean }>(
      `select rolsuper or rolcreaterole or rolcreatedb or rolreplication or rolbypassrls as super,
              pg_has_role(${pg.escapeLiteral(template)}, 'usage') as member
         from pg_roles where rolname = current_user`,
    );
    const [rights] = rows;
    return { answer: 'let in', detail: `let in as ${quoteName(user)}`, ...(rights && { rights }) };
  } catch (error) {
    return { answer: isRefusal(error) ? 'refused' : 'unknown', detail: escapeForTerminal(reasonOf(error)) };
  } finally {
    signal.removeEventListener('abort', stop);
    // Not waited for: of a connection that an alert has ended node-pg never says that it has.
    stop();
  }
}

/**
 * Class 28 is invalid authorization. A certificate that does not hold ends the connection by an alert; node-pg has no password to
 * give where one is asked for.
 */
function isRefusal(error: unknown): boolean {
  const message = error instanceof Error ? error.message : '';
  return (
    sqlState(error)?.startsWith('28') === true || /SSL alert number|client password must be/.test(message)
  );
}
