/**
 * The unit at a target: again and again it pulls the revocation list, reads what the logs say of logins, tells the broker, and ends
 * the sessions of which the broker says that they are over. Each of these goes on when another fails. While the broker is
 * away what is to be told waits on the disk; sessions go on, for nobody can say that they are over.
 */

import { join } from 'node:path';
import { readReply } from '../client/answer.ts';
import { SignedExchange } from '../client/broker.ts';
import { openEndpoints } from '../client/endpoints.ts';
import { ensureDir } from '../client/files.ts';
import type { Environment } from '../client/paths.ts';
import { createTransport } from '../client/transport.ts';
import { isAppError } from '../protocol/errors.ts';
import type { HostReply, HostReport, LoginRecord } from '../protocol/messages.ts';
import { HOST_TAG } from '../protocol/signature.ts';
import { formatInstant } from '../protocol/time.ts';
import type { HostConfig } from './config.ts';
import { readJournal } from './journal.ts';
import { openHostKey } from './key.ts';
import { type Memory, readMemory, type Told, writeMemory, writeTold } from './memory.ts';
import { parsePostgresLine } from './postgres-log.ts';
import { bootId } from './processes.ts';
import { pullRevocationList } from './revocation-list.ts';
import { createSessions } from './sessions.ts';
import { openSpool } from './spool.ts';
import { parseSshLogin, parseSyslogLine, type SshdMessage } from './sshd-log.ts';
import { readTail } from './tail.ts';

export interface HostRun {
  readonly config: HostConfig;
  readonly env: Environment;
  readonly now: () => number;
  readonly random: () => number;
  /** Structured lines, for whoever looks after it. */
  readonly log: (event: string, more: Readonly<Record<string, string | number>>) => void;
  readonly signal: AbortSignal;
}

const ROUND_MS = 2_000;
const LIST_MS = 5_000;
/** While sessions are open, and else. */
const [REPORT_MS, QUIET_MS] = [5_000, 60_000];
const TIMEOUT_MS = 15_000;
const [MOST_LOGINS, MOST_SESSIONS] = [50, 100];
const BACKOFF_MS = [0, 2_000, 5_000, 10_000, 30_000];

/** Ends when it is told to. Throws AppError `not_enrolled`, `config_invalid`, `unsafe_file`. */
export async function runHost(run: HostRun): Promise<void> {
  const { config, now, log, signal } = run;
  ensureDir(config.state);
  const signer = openHostKey(config.state);
  const memory = readMemory(config.state, bootId());
  let remembered = JSON.stringify(memory);
  const spool = openSpool(config.state);
  const sessions = createSessions(memory.sessions);
  const endpoints = openEndpoints(config, { endpointsFile: join(config.state, 'endpoints.json') }, now);
  const transport = createTransport(new URL(config.broker), config, run.env, now, endpoints);
  const exchange = new SignedExchange(
    { config, signer, now, warn: (message) => log('clock', { message }) },
    transport,
    endpoints,
  );
  const told: Told = {
    ...{ startedAt: formatInstant(now()), reportedAt: null, listAt: null, list: null },
    ...{ waiting: 0, lost: 0, sessions: 0, failing: {} },
  };
  /** When each is next due, and how often it has failed in a row. */
  const due = { list: 0, report: 0 };
  const failed: Record<string, number> = {};

  /** One thing of a round. What fails is told once, and again when it works. */
  async function attempt(what: string, work: () => void | Promise<void>): Promise<void> {
    try {
      await work();
      if (failed[what]) log('works again', { what });
      failed[what] = 0;
      delete told.failing[what];
    } catch (error) {
      if (signal.aborted) return;
      const message = isAppError(error) || error instanceof Error ? error.message : 'it failed';
      if (told.failing[what] !== message) log('failed', { what, message });
      failed[what] = (failed[what] ?? 0) + 1;
      told.failing[what] = message;
      const wait = BACKOFF_MS[Math.min(failed[what], BACKOFF_MS.length - 1)] ?? 0;
      if (what === 'list' || what === 'report') due[what] = now() + wait * (0.5 + run.random());
    }
  }

  /** On the disk first, then the place in the log. */
  function keep(logins: readonly LoginRecord[]): void {
    const lost = spool.add(logins);
    if (lost === 0) return;
    memory.lost += lost;
    log('lost', { count: lost });
  }

  function takeMessages(messages: readonly SshdMessage[]): void {
    const logins = messages.flatMap((message) => {
      const login = parseSshLogin(message);
      return login === undefined ? [] : [{ login, pid: message.pid }];
    });
    keep(logins.map(({ login }) => login));
    for (const { login, pid } of logins) sessions.began(login, pid);
  }

  /** Until there is nothing more. */
  function takeFile(path: string, name: 'sshLog' | 'postgresLog', take: (lines: string[]) => void): void {
    for (;;) {
      const before = memory[name];
      const { lines, place, isGap } = readTail(path, before);
      if (isGap) {
        memory.lost += 1;
        log('gap', { path });
      }
      take(lines);
      memory[name] = place;
      if (lines.length === 0 && place?.head === before?.head && place?.offset === before?.offset) return;
    }
  }

  async function readLogs(): Promise<void> {
    const { ssh, postgres } = config;
    if (ssh !== undefined) {
      await attempt('sshd log', async () => {
        if (ssh.log !== 'journal') {
          takeFile(ssh.log, 'sshLog', (lines) =>
            takeMessages(lines.flatMap((line) => parseSyslogLine(line, now()) ?? [])),
          );
          return;
        }
        const { messages, cursor } = await readJournal(memory.journal);
        takeMessages(messages);
        memory.journal = cursor;
      });
    }
    if (postgres !== undefined) {
      await attempt('postgres log', () =>
        takeFile(postgres.log, 'postgresLog', (lines) =>
          keep(lines.flatMap((line) => parsePostgresLine(line, memory.authenticated) ?? [])),
        ),
      );
    }
  }

  async function send(body: HostReport): Promise<HostReply> {
    const { reply, asked } = await exchange.send({
      ...{ method: 'POST', path: '/v1/hosts/logins', headers: { 'content-type': 'application/json' } },
      ...{ body: Buffer.from(JSON.stringify(body)), tag: HOST_TAG, timeoutMs: TIMEOUT_MS, signal },
    });
    return readReply(reply, asked) as HostReply;
  }

  async function report(): Promise<void> {
    let open = [...sessions.list()];
    do {
      const logins = spool.first(MOST_LOGINS);
      const asked = open.slice(0, MOST_SESSIONS).map(({ identity, serial }) => ({ identity, serial }));
      const { lost } = memory;
      const { over } = await send({ logins, open: asked, lost }).catch((error: unknown) => {
        // What this broker will never take must not keep from it what comes after.
        const isForNever =
          isAppError(error) && error.isSigned && ['invalid_request', 'too_large'].includes(error.code);
        if (!isForNever || logins.length === 0) throw error;
        log('refused', { count: logins.length, message: error.message });
        memory.lost += lost + logins.length;
        return { over: [] };
      });
      spool.drop(logins.length);
      memory.lost -= lost;
      told.reportedAt = formatInstant(now());
      // Only of what was asked for: an answer ends nothing else.
      const ended = await sessions.end(
        over.filter((each) =>
          asked.some(({ identity, serial }) => identity === each.identity && serial === each.serial),
        ),
      );
      if (ended > 0) log('ended', { sessions: ended });
      open = open.slice(MOST_SESSIONS);
    } while ((spool.waiting > 0 || open.length > 0) && !signal.aborted);
    due.report = now() + (sessions.list().length > 0 ? REPORT_MS : QUIET_MS);
  }

  async function round(): Promise<void> {
    const { ssh } = config;
    if (ssh !== undefined && now() >= due.list) {
      await attempt('list', async () => {
        const { number, isNew } = await pullRevocationList(transport, config, ssh.folder, signal);
        if (isNew) log('list', { number });
        Object.assign(told, { list: number, listAt: formatInstant(now()) });
        due.list = now() + LIST_MS;
      });
    }
    await readLogs();
    await attempt('memory', () => remember(memory));
    const hasNews = spool.waiting > 0 || memory.lost > 0 || sessions.list().length > 0;
    if (hasNews && !failed.report)
      due.report = Math.min(due.report, now() + (spool.waiting > 0 ? 0 : REPORT_MS));
    if (now() >= due.report) await attempt('report', report);
    await attempt('memory', () => remember(memory));
    Object.assign(told, {
      ...{ waiting: spool.waiting, lost: memory.lost, sessions: sessions.list().length },
    });
    await attempt('status', () => writeTold(config.state, told));
  }

  async function remember(current: Memory): Promise<void> {
    current.sessions = sessions.list();
    const text = JSON.stringify(current);
    if (text === remembered) return;
    await writeMemory(config.state, current);
    remembered = text;
  }

  log('started', { broker: config.broker });
  try {
    while (!signal.aborted) {
      await round();
      await pause(ROUND_MS, signal);
    }
  } finally {
    transport.close();
    spool.close();
  }
  log('stopped', {});
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve();
    const done = () => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
