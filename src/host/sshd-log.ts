/**
 * What sshd says of a login by certificate (auth.c of OpenSSH, LogLevel INFO):
 *
 *     Accepted publickey for ops from 192.0.2.7 port 52114 ssh2: ED25519-CERT SHA256:… ID ana/gr_…/P1-1 (serial 7) CA ED25519 SHA256:…
 *
 * A whole message is read, from its first word to its last: whoever types such words as a user name makes sshd write them
 * behind others ("Invalid user …"), and whoever signs certificates under another CA cannot put words behind that CA's name.
 */
import type { LoginRecord } from '../protocol/messages.ts';
import { printed } from './printed.ts';

const ACCEPTED =
  /^Accepted publickey for (.{1,256}?) from ([0-9A-Fa-f.:%a-z]{2,64}) port (\d{1,5}) ssh2: [A-Z0-9-]{2,32}-CERT SHA256:[A-Za-z0-9+/]{43} ID (.{0,1024}) \(serial (\d{1,20})\) CA [A-Z0-9-]{2,32} (SHA256:[A-Za-z0-9+/]{43})$/s;
/** Traditional (`Jan  5 02:14:00`), or RFC 3339; then host, program and process. */
const SYSLOG =
  /^(?:([A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d)|(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d))) \S{1,255} sshd(?:-session)?\[(\d{1,10})\]: (.*)$/s;

export interface SshdMessage {
  /** The process that said it: of a login, the one whose end is the end of the session. */
  readonly pid: number;
  readonly atMs: number;
  readonly text: string;
}

/** Undefined for what is not about a login by certificate. */
export function parseSshLogin({ atMs, text }: SshdMessage): LoginRecord | undefined {
  const match = ACCEPTED.exec(text);
  if (match === null) return undefined;
  const [, account = '', ip = '', port = '', identity = '', serial = '', authority = ''] = match;
  return {
    kind: 'ssh',
    account: printed(account, 128),
    identity: printed(identity, 512),
    serial: BigInt(serial).toString(),
    authority,
    address: printed(ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`, 64),
    at: new Date(atMs).toISOString(),
  };
}

/** A line of a file that syslog writes; undefined for other programs' lines. A time without a year is the newest that is not to come. */
export function parseSyslogLine(line: string, nowMs: number): SshdMessage | undefined {
  const match = SYSLOG.exec(line);
  if (match === null) return undefined;
  const [, plain = '', exact, pid = '', text = ''] = match;
  const atMs = exact === undefined ? newestOf(plain, nowMs) : Date.parse(exact);
  return Number.isNaN(atMs) ? undefined : { pid: Number(pid), atMs, text };
}

/** By the machine's own time zone, as syslog writes it. */
function newestOf(text: string, nowMs: number): number {
  const year = new Date(nowMs).getFullYear();
  const atMs = Date.parse(`${text} ${year}`);
  return atMs > nowMs + 86_400_000 ? Date.parse(`${text} ${year - 1}`) : atMs;
}
