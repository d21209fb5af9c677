/**
 * Connections to MariaDB targets: one for each call, whose end frees whatever lock it held. The broker's login calls the
 * procedures of the guide with bound parameters, and sends no other statement. An abort drops the connection.
 */
import type { MariadbSettings } from '../catalogue/targets/mariadb.ts';
import type { Resource, SecretRef } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { answerMariadb } from '../protocol/mariadb-ed25519.ts';
import { SCHEMA } from './mariadb-procedures.ts';

const CONNECT_MS = 5_000;

export interface MariadbAccess {
  resolveSecret: (ref: SecretRef) => Promise<string>;
  /** PEM text of a CA file named in the catalogue. */
  readCa: (file: string) => Promise<string>;
}

export type Value = string | number | boolean | null;
export type Row = Readonly<Record<string, Value>>;

export interface MariadbSession {
  /** The target's clock, milliseconds since 1970, as read at the start of the session. */
  targetNowMs: number;
  status: TargetStatus;
  /** Calls a procedure of the guide; gives the rows of its first result, or none. */
  call(procedure: string, ...values: readonly Value[]): Promise<readonly Row[]>;
  /** The first row of a query without parameters. */
  read(text: string): Promise<Row | undefined>;
}

export interface TargetStatus {
  /** Of the procedures that are installed. */
  digest: string;
  accounts: number;
  eventStatus: string | undefined;
  /** Seconds since the event ran last; undefined where it never has. */
  eventAge: number | undefined;
}

export interface MariadbTargets {
  /**
   * Runs `work` on a connection of its own. Throws AppError `target_unreachable` or `target_refused`; what MariaDB said is
   * only in `cause`.
   */
  use<T>(resource: Resource, signal: AbortSignal, work: (session: MariadbSession) => Promise<T>): Promise<T>;
}

export function createMariadbTargets(access: MariadbAccess): MariadbTargets {
  return {
    async use(resource, signal, work) {
      const settings = mariadbSettings(resource);
      try {
        signal.throwIfAborted();
        return await withConnection(access, settings, signal, async (query) => {
          const call: MariadbSession['call'] = async (procedure, ...values) => {
            const marks = values.map(() => '?').join(', ');
            return firstResult(await query(`CALL ${SCHEMA}.${procedure}(${marks})`, values));
          };
          const [row] = await call('status');
          if (row === undefined)
            throw new AppError('target_refused', `${resource.id} does not say its status`);
          return work({
            targetNowMs: Number(row.now_ms),
            status: {
              digest: String(row.digest),
              accounts: Number(row.accounts),
              eventStatus: row.event_status === null ? undefined : String(row.event_status),
              eventAge: row.event_age === null ? undefined : Number(row.event_age),
            },
            call,
            read: async (text) => firstResult(await query(text, []))[0],
          });
        });
      } catch (error) {
        throw toAppError(error, resource.id, signal);
      }
    },
  };
}

export function mariadbSettings(resource: Resource): MariadbSettings {
  if (resource.target.kind !== 'mariadb') throw new AppError('internal', 'not a mariadb resource');
  return resource.target;
}

/** The five-character SQLSTATE, where the error came from the server. */
export function sqlState(error: unknown): string | undefined {
  const cause = error instanceof AppError ? error.cause : error;
  return cause instanceof Error && 'sqlState' in cause && cause.sqlState ? String(cause.sqlState) : undefined;
}

type Query = (text: string, values: readonly Value[]) => Promise<unknown>;

async function withConnection<T>(
  access: MariadbAccess,
  settings: MariadbSettings,
  signal: AbortSignal,
  work: (query: Query) => Promise<T>,
): Promise<T> {
  const { createConnection } = await import('mysql2');
  const { host, port, broker } = settings;
  const password = broker.password === undefined ? '' : await access.resolveSecret(broker.password);
  const ssl = await tlsOptions(settings, access.readCa);
  const refused = () => () => {
    throw new Error('the server asks for the password in a way that could show it to somebody else');
  };
  const connection = createConnection({
    host,
    port,
    user: broker.user,
    password,
    ...(ssl && { ssl }),
    authPlugins: {
      client_ed25519: () => (scramble) => answerMariadb(password, scramble.subarray(0, 32)),
      caching_sha2_password: refused,
      sha256_password: refused,
      mysql_clear_password: refused,
    },
    connectTimeout: CONNECT_MS,
    timezone: 'Z',
    supportBigNumbers: true,
    // It would make code out of a result's column names.
    disableEval: true,
  });
  let fail: (reason: unknown) => void = () => undefined;
  const broken = new Promise<never>((_, reject) => {
    fail = reject;
  });
  broken.catch(() => undefined);
  const abort = (): void => fail(signal.reason);
  connection.on('error', fail);
  signal.addEventListener('abort', abort, { once: true });
  const query: Query = (text, values) =>
    new Promise((resolve, reject) => {
      connection.query({ sql: text, values: [...values] }, (error, result) => {
        if (error) reject(error);
        else resolve(result);
      });
    });
  const connected = new Promise<void>((resolve, reject) => {
    connection.connect((error) => (error ? reject(error) : resolve()));
  });
  const worked = connected.then(() => work(query));
  worked.catch(() => undefined);
  try {
    return await Promise.race([worked, broken]);
  } finally {
    signal.removeEventListener('abort', abort);
    connection.destroy();
  }
}

/** A CALL gives a list of results, each a list of rows, and a header at the end; a query gives its rows. */
function firstResult(result: unknown): readonly Row[] {
  const list: readonly unknown[] = Array.isArray(result) ? result : [];
  return (Array.isArray(list[0]) ? list[0] : list) as readonly Row[];
}

async function tlsOptions(
  { sslMode, caFile }: MariadbSettings,
  readCa: MariadbAccess['readCa'],
): Promise<object | undefined> {
  if (sslMode === 'disable') return undefined;
  if (sslMode === 'require') return { rejectUnauthorized: false };
  return {
    rejectUnauthorized: true,
    verifyIdentity: true,
    ...(caFile !== undefined && { ca: await readCa(caFile) }),
  };
}

/** Classes of SQLSTATE that may be gone at the next try: connection, conflict, our deadline. */
const PASSING = /^(08|40|70|OC001)/;
/** Too many connections, lock waits, shutdown, out of memory or disk, read-only for a while. */
const PASSING_NUMBERS = [1021, 1037, 1040, 1041, 1053, 1077, 1203, 1205, 1213, 1290, 1317, 1836, 1969];

function toAppError(error: unknown, resource: string, signal: AbortSignal): AppError {
  if (error instanceof AppError) return error;
  if (signal.aborted) {
    return new AppError('target_unreachable', `${resource} did not answer in time`, { cause: error });
  }
  const state = sqlState(error);
  const number = error instanceof Error && 'errno' in error ? Number(error.errno) : 0;
  if (state !== undefined && !PASSING.test(state) && !PASSING_NUMBERS.includes(number)) {
    return new AppError('target_refused', `${resource} refused (SQLSTATE ${state})`, {
      hint: `on the broker's host: oncall broker target ${resource} --check`,
      cause: error,
    });
  }
  const message = state === undefined ? 'cannot be reached' : `is not ready (SQLSTATE ${state})`;
  return new AppError('target_unreachable', `${resource} ${message}`, { cause: error });
}
