/**
 * What PostgreSQL says of a login (`log_connections = on`), out of `jsonlog` alone (PostgreSQL 15): in its text form a prefix may hold
 * a name that the one who connects has chosen, and then nothing tells a forged line from a true one.
 *
 *     connection authenticated: identity="OU=bg/…,CN=breakglass-…" method=cert (…/pg_hba.conf:7)
 *     connection authorized: user=ops database=orders …
 *
 * Who was authenticated may be refused still; who was authorized is in.
 */
import type { LoginRecord } from '../protocol/messages.ts';
import { printed } from './printed.ts';

const AUTHENTICATED = /^connection authenticated: identity="(.{0,2048})" method=([a-z0-9-]{1,32}) \(/s;
const AUTHORIZED = /^(?:replication )?connection authorized: user=/;
/** Start of the session in seconds, and the process: in hexadecimal digits. */
const SESSION = /^([0-9a-f]{1,9})\.[0-9a-f]{1,8}$/;
const OURS = /^oncall_/;
const BREAK_GLASS = /(?:^|[,+])(?:OU=bg\/|CN=breakglass-)/;
const MOST_PENDING = 500;

/** By session: who was authenticated, and how. */
export type Authenticated = Record<string, { identity: string; method: string }>;

/** `pending` is carried from line to line. Undefined for what is no login, or none that the broker would know. */
export function parsePostgresLine(line: string, pending: Authenticated): LoginRecord | undefined {
  const entry = entryOf(line);
  const session = textIn(entry, 'session_id');
  const startedAt = Number.parseInt(SESSION.exec(session)?.[1] ?? '', 16);
  const message = textIn(entry, 'message');
  if (textIn(entry, 'error_severity') !== 'LOG' || Number.isNaN(startedAt)) return undefined;
  const authenticated = AUTHENTICATED.exec(message);
  if (authenticated !== null) {
    const [, identity = '', method = ''] = authenticated;
    const [oldest] = Object.keys(pending);
    if (Object.keys(pending).length >= MOST_PENDING && oldest !== undefined) delete pending[oldest];
    pending[session] = { identity: identity.slice(0, 512), method };
    return undefined;
  }
  if (!AUTHORIZED.test(message)) return undefined;
  const account = textIn(entry, 'user');
  const { identity, method } = pending[session] ?? { identity: account, method: '' };
  delete pending[session];
  const isOfInterest = OURS.test(account) || (method === 'cert' && BREAK_GLASS.test(identity));
  if (!isOfInterest) return undefined;
  const host = textIn(entry, 'remote_host') || 'local';
  const port = Number(entry?.remote_port ?? 0);
  return {
    kind: 'postgres',
    account: printed(account, 128),
    identity: printed(identity, 512),
    serial: '',
    authority: method,
    address: printed(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, 64),
    at: new Date(startedAt * 1000).toISOString(),
  };
}

function entryOf(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function textIn(entry: Record<string, unknown> | undefined, name: string): string {
  const value = entry?.[name];
  return typeof value === 'string' ? value : '';
}
