/**
 * The statements that make and prolong a login. Each text goes to the server as one message: PostgreSQL runs it as one
 * transaction, and its last statement refuses to commit after the deadline. So a broker that was paused, or a message
 * that was stuck on the way, makes no login that nobody waits for.
 */
import { quoteName, quoteText } from './postgres-connection.ts';

/** Version from which ADMIN OPTION, INHERIT and SET are options of a membership, and CREATEROLE is narrow. */
export const NARROW_VERSION = 160_000;

/** SQLSTATE of the guard's refusal. */
export const LATE = 'OC001';

const CONNECTION_LIMIT = 10;

export interface LoginText {
  name: string;
  /** In the exact form that `isScramVerifier` checks: anything else PostgreSQL would store as a password in plain text. */
  verifier: string;
  template: string;
  comment: string;
  expiresAtMs: number;
  /** By the target's clock. */
  deadlineMs: number;
  version: number;
  exists: boolean;
}

export function loginText(login: LoginText): string {
  const name = quoteName(login.name);
  const attributes = `LOGIN CONNECTION LIMIT ${CONNECTION_LIMIT} PASSWORD ${quoteText(login.verifier)} VALID UNTIL ${instant(login.expiresAtMs)}`;
  const role = login.exists
    ? `ALTER ROLE ${name} WITH ${attributes}`
    : `CREATE ROLE ${name} WITH NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS INHERIT ${attributes}`;
  return [
    // Two calls under one handle, one after the other: PostgreSQL's own answer to two at once is an internal error.
    `SELECT pg_advisory_xact_lock(hashtextextended(${quoteText(login.name)}, 0))`,
    role,
    templateGrant(login.template, login.name, login.version),
    `COMMENT ON ROLE ${name} IS ${quoteText(login.comment)}`,
    deadlineGuard(login.deadlineMs),
  ].join(';\n');
}

export function prolongText(name: string, expiresAtMs: number, deadlineMs: number): string {
  return [
    `ALTER ROLE ${quoteName(name)} WITH VALID UNTIL ${instant(expiresAtMs)}`,
    deadlineGuard(deadlineMs),
  ].join(';\n');
}

/** Without SET the login has the template's rights but cannot hand its own objects to it, out of the quarantine's reach. */
export function templateGrant(template: string, name: string, version: number): string {
  return membership(template, quoteName(name), version, 'INHERIT TRUE, SET FALSE');
}

/** `to` is quoted already, or CURRENT_USER. */
export function membership(role: string, to: string, version: number, options: string): string {
  const narrow = version >= NARROW_VERSION ? ` WITH ${options}` : '';
  return `GRANT ${quoteName(role)} TO ${to}${narrow}`;
}

function deadlineGuard(deadlineMs: number): string {
  return `DO $guard$ BEGIN
  IF clock_timestamp() >= ${instant(deadlineMs)}::timestamptz THEN
    RAISE EXCEPTION USING ERRCODE = '${LATE}', MESSAGE = 'oncall: too late';
  END IF;
END $guard$`;
}

function instant(ms: number): string {
  return `'${new Date(ms).toISOString()}'`;
}
