/**
 * One Redis user a login, made and changed by transactions that the server refuses once the deadline is past. `ACL SETUSER`
 * makes a user that is not there, and Redis runs it in no script: the condition is a key that expires at the deadline and is
 * watched. An expired key ends a transaction (Redis manual, "Transactions"), and what a stuck connection delivers late
 * makes no login that nobody waits for.
 *
 * A server that takes no writes (full memory or disk, a replica) cannot hold that key. Access is needed there most, so the
 * call goes on without it: a login that comes too late is then dropped by the reaper at its date, which it always carries.
 */
import { randomBytes } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import type { CredentialSubject } from './issuer.ts';
import { goneError, isLoginName } from './login-names.ts';
import { type RedisSession, ReplyError, redisSettings, replyCode } from './redis-connection.ts';

/** All keys of ours, at the target. */
export const KEY_PREFIX = 'oncall:';
const TOUCHED_MS = '60000';
const NO_WRITES = ['OOM', 'MISCONF', 'READONLY', 'NOREPLICAS'];
const ROUNDS = 4;
/** Characters, before they are encoded. */
const MAX_WORD = 200;

/** Words of `ACL SETUSER` after the name. The rules are the catalogue's, checked word by word when it was read. */
export function loginWords(verifier: string, rules: readonly string[], date: string): string[] {
  return ['reset', 'resetkeys', 'resetchannels', 'on', `#${verifier}`, ...rules, date];
}

/**
 * A selector without any command: it gives no right, and is the one place at a user for words of ours. The reaper at the
 * target reads the date, a survey the installation; the grant and the incident are for people. Anything but letters, digits, `_`, `.` and `-` is percent-encoded.
 */
export function dateWord(
  untilMs: number,
  { grantId, incident }: Pick<CredentialSubject, 'grantId' | 'incident'>,
  installation: string,
): string {
  const told = { broker: installation, grant: grantId, incident: incident ?? '-' };
  const words = Object.entries(told).map(([name, value]) => `:${name}=${encodeWord(value)}`);
  return `(~${KEY_PREFIX}until=${Math.ceil(untilMs)}${words.join('')})`;
}

/** Makes the user, or makes it anew. Throws AppError `target_unreachable` once `remainingMs` has run out. */
export async function makeLogin(
  session: RedisSession,
  name: string,
  words: readonly string[],
  remainingMs: () => number,
): Promise<void> {
  const change = ['ACL', 'SETUSER', name, ...words];
  await beforeDeadline(session, name, remainingMs, async () => change);
}

/** Moves the date, unless the user has gone: `ended`. Whoever ends it in between is noticed by the key that both touch. */
export async function prolongLogin(
  session: RedisSession,
  name: string,
  date: string,
  remainingMs: () => number,
): Promise<void> {
  await beforeDeadline(session, name, remainingMs, async () => {
    if (!(await exists(session, name))) throw goneError(name);
    return ['ACL', 'SETUSER', name, 'clearselectors', date];
  });
}

/** Cuts the sessions, says how many, and removes the user: from the ACL file too, where there is one. */
export async function dropLogin(session: RedisSession, name: string): Promise<number> {
  const ending = [
    ['CLIENT', 'KILL', 'USER', name],
    ['ACL', 'DELUSER', name],
    // After each end, found or not: a crash between these two would bring the user back at the next start.
    ['ACL', 'SAVE'],
  ];
  const touching = ['SET', touchedKey(name), '1', 'PX', TOUCHED_MS];
  try {
    const replies = await session.transaction([...ending, touching], isNothingToDo);
    return Number(replies?.[0] ?? 0);
  } catch (error) {
    if (!takesNoWrites(error)) throw error;
  }
  // With full memory not even a transaction can be begun.
  let cut = 0;
  for (const [index, words] of ending.entries()) {
    const reply = await session.command(...words).catch((error: unknown) => {
      if (error instanceof ReplyError && isNothingToDo(error)) return 0;
      throw error;
    });
    if (index === 0) cut = Number(reply);
  }
  return cut;
}

/** No user of that name, or no ACL file. */
function isNothingToDo({ message }: ReplyError): boolean {
  return /^ERR (No such user|.*not configured to use an ACL file)/.test(message);
}

export async function exists(session: RedisSession, name: string): Promise<boolean> {
  return (await session.command('ACL', 'GETUSER', name)) !== null;
}

export async function countEphemeralUsers(session: RedisSession): Promise<number> {
  const names = (await session.command('ACL', 'USERS')) as readonly string[];
  return names.filter(isLoginName).length;
}

/** How many connections are open under a name. */
export async function countSessions(session: RedisSession, name: string): Promise<number> {
  const list = String(await session.command('CLIENT', 'LIST'));
  return list.split('\n').filter((line) => line.split(' ').includes(`user=${name}`)).length;
}

/** Throws AppError `target_refused` where too many ephemeral users exist already. */
export async function requireRoom(
  session: RedisSession,
  subject: CredentialSubject,
  name: string,
): Promise<void> {
  const { resource } = subject;
  const count = await countEphemeralUsers(session);
  if (count < redisSettings(resource).maxUsers || (await exists(session, name))) return;
  throw new AppError('target_refused', `${resource.id} has ${count} ephemeral users already`, {
    hint: `users named oncall_… pile up when ending fails: oncall broker target ${resource.id} --check`,
  });
}

/** Runs the one command that `change` gives, once it has looked at what is there. */
async function beforeDeadline(
  session: RedisSession,
  name: string,
  remainingMs: () => number,
  change: () => Promise<readonly string[]>,
): Promise<void> {
  const touched = touchedKey(name);
  for (let round = 0; round < ROUNDS; round++) {
    const lease = await takeLease(session, remainingMs);
    if (lease !== undefined) {
      await session.command('WATCH', lease, touched);
      if ((await session.command('GET', lease)) === null) break;
    }
    const command = await change();
    if (remainingMs() <= 0) break;
    if (lease === undefined) {
      await session.command(...command);
      return;
    }
    const touching = ['SET', touched, '1', 'PX', TOUCHED_MS];
    const replies = await session.transaction([command, touching, ['DEL', lease]]);
    if (replies !== undefined) return;
  }
  throw new AppError('target_unreachable', 'the target did not act in time');
}

/** A key that is gone at the deadline, by the target's own clock. Undefined where the server takes no writes. */
async function takeLease(session: RedisSession, remainingMs: () => number): Promise<string | undefined> {
  const lease = `${KEY_PREFIX}lease:${randomBytes(12).toString('hex')}`;
  // Asked after the target's clock was read: a pause in between makes it earlier, never later.
  const until = Math.max(1, Math.floor(session.targetNowMs + remainingMs()));
  try {
    await session.command('SET', lease, '1', 'PXAT', String(until));
    return lease;
  } catch (error) {
    if (takesNoWrites(error)) return undefined;
    throw error;
  }
}

function touchedKey(name: string): string {
  return `${KEY_PREFIX}touched:${name}`;
}

function takesNoWrites(error: unknown): boolean {
  return NO_WRITES.includes(replyCode(error) ?? '');
}

function encodeWord(text: string): string {
  const words = text.toWellFormed().slice(0, MAX_WORD).toWellFormed();
  return encodeURIComponent(words).replace(/[!'()*~]/g, (char) => `%${char.charCodeAt(0).toString(16)}`);
}
