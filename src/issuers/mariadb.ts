/**
 * MariaDB logins: one account a credential, with the rights of a role and the public key of a password made on the device.
 * MariaDB knows no date in minutes: the broker ends accounts, and an event at the target drops what outlived its time.
 */
import { AppError } from '../protocol/errors.ts';
import { isMariadbVerifier } from '../protocol/mariadb-ed25519.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import { countDown } from './count-down.ts';
import type { EndInput, EndReport, Issued, IssueInput, Issuer, Proof, RenewInput } from './issuer.ts';
import { chooseLoginName, describeLogin, goneError, requireLoginName } from './login-names.ts';
import { checkMariadb } from './mariadb-check.ts';
import {
  createMariadbTargets,
  type MariadbAccess,
  type MariadbSession,
  mariadbSettings,
  sqlState,
} from './mariadb-connection.ts';
import { mariadbGuide } from './mariadb-guide.ts';
import { GONE } from './mariadb-procedures.ts';
import { surveyAccounts } from './mariadb-survey.ts';

/** What an audit entry can hold. */
const MAX_LEFTOVERS = 200;

export interface MariadbIssuerOptions extends MariadbAccess {
  /** The broker's name at its targets, without spaces and commas: tells its accounts from those of others. */
  installation: string;
  /** For `check`, which compares it with the target's clock. Milliseconds since 1970. */
  now: () => number;
}

export function createMariadbIssuer(options: MariadbIssuerOptions): Issuer {
  const targets = createMariadbTargets(options);

  async function issue(input: IssueInput): Promise<Issued> {
    const { subject, material, handle, expiresAtMs, nowMs, signal } = input;
    const remainingMs = countDown(input);
    const settings = mariadbSettings(subject.resource);
    if (material.kind !== 'mariadb' || !isMariadbVerifier(material.verifier)) {
      throw new AppError(
        'invalid_request',
        'not a verifier of the form that MariaDB’s ed25519 plugin stores',
      );
    }
    const { verifier } = material;
    const role = settings.roles.get(subject.role);
    if (!role) throw new AppError('target_refused', `${subject.resource.id} has no role ${subject.role}`);
    const name = requireLoginName(handle);
    const publicPart = await publicPartOf(subject.resource, name);
    await targets.use(subject.resource, signal, async (session) => {
      await requireRoom(session, subject.resource, name);
      const until = Math.ceil(session.targetNowMs + expiresAtMs - nowMs);
      const deadline = Math.floor(session.targetNowMs + remainingMs());
      const needsTls = settings.sslMode !== 'disable';
      await unlessGone(name, () =>
        session.call(
          'make_login',
          name,
          verifier,
          role.grant,
          describeLogin(subject, options.installation),
          options.installation,
          until,
          deadline,
          needsTls,
        ),
      );
    });
    return { publicPart, expiresAtMs };
  }

  async function renew(input: RenewInput): Promise<Issued> {
    const { subject, handle, expiresAtMs, nowMs, signal } = input;
    const remainingMs = countDown(input);
    const name = requireLoginName(handle);
    const publicPart = await publicPartOf(subject.resource, name);
    await targets.use(subject.resource, signal, async (session) => {
      const until = Math.ceil(session.targetNowMs + expiresAtMs - nowMs);
      const deadline = Math.floor(session.targetNowMs + remainingMs());
      await unlessGone(name, () => session.call('prolong_login', name, until, deadline));
    });
    return { publicPart, expiresAtMs };
  }

  async function end({ subject, handle, signal }: EndInput): Promise<EndReport> {
    const name = requireLoginName(handle);
    const [row] = await targets.use(subject.resource, signal, (session) => session.call('end_login', name));
    const found = JSON.parse(String(row?.found ?? '[]')) as string[];
    return { sessionsEnded: Number(row?.cut ?? 0), leftovers: shorten(found) };
  }

  async function prove({ subject, handle, nowMs, signal }: EndInput): Promise<Proof> {
    const name = requireLoginName(handle);
    const method = 'mysql.global_priv and the process list, read back';
    const [row] = await targets.use(subject.resource, signal, (session) => session.call('look', name));
    if (row?.state !== 'absent') {
      return { state: 'unproven', method, reason: `the account exists (${row?.state})` };
    }
    if (row.sessions !== 0) return { state: 'unproven', method, reason: 'sessions are open' };
    return { state: 'proven', method, at: nowMs };
  }

  async function publicPartOf(
    resource: IssueInput['subject']['resource'],
    user: string,
  ): Promise<Issued['publicPart']> {
    const { host, port, database, sslMode, caFile } = mariadbSettings(resource);
    const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
    return { kind: 'mariadb', user, host, port, database, sslMode, ...(caPem !== undefined && { caPem }) };
  }

  return {
    kind: 'mariadb',
    expiry: 'broker',
    renewal: 'prolong',
    chooseHandle: chooseLoginName,
    issue,
    renew,
    end,
    prove,
    survey: (resource, signal) => surveyAccounts(targets, resource, options.installation, signal),
    guide: mariadbGuide,
    check: (resource, signal) => checkMariadb(targets, resource, signal, options.now),
    async close() {},
  };
}

/** Throws AppError `target_refused` where too many ephemeral accounts exist already, unless this is one of them. */
async function requireRoom(
  { status, call }: MariadbSession,
  resource: IssueInput['subject']['resource'],
  name: string,
): Promise<void> {
  if (status.accounts < mariadbSettings(resource).maxAccounts) return;
  const [row] = await call('look', name);
  if (row?.state !== 'absent') return;
  throw new AppError('target_refused', `${resource.id} has ${status.accounts} ephemeral accounts already`, {
    hint: `accounts named oncall_… pile up when ending fails: oncall broker target ${resource.id} --check`,
  });
}

async function unlessGone(name: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw sqlState(error) === GONE ? goneError(name, error) : error;
  }
}

function shorten(leftovers: readonly string[]): string[] {
  const safe = leftovers.map((line) => escapeForTerminal(line));
  if (safe.length <= MAX_LEFTOVERS) return safe;
  return [...safe.slice(0, MAX_LEFTOVERS), `and ${safe.length - MAX_LEFTOVERS} more`];
}
