/**
 * The agent's entry, built into one file of its own that loads little: it lives long, and on everybody's machine. `oncall agent`
 * comes here too, before any parser.
 */
import { uptime } from 'node:os';
import { LOCK_FD } from '../client/agent-start.ts';
import { createClientContext } from '../client/context.ts';
import { type DeviceRecord, parseDeviceRecord } from '../client/device-record.ts';
import { isAppError } from '../protocol/errors.ts';
import { version } from '../protocol/version.ts';
import { GRACE_MS, runAgent } from './agent.ts';
import { type AgentArguments, readAgentArguments } from './arguments.ts';
import { openLog } from './log.ts';
import { desktopNotify } from './notify.ts';
import { wordsOf } from './tell.ts';

/** A line of keys is short, and whoever hands it over has it ready. */
const [MOST_BYTES, PATIENCE_MS] = [16 * 1024, 5_000];

async function main({ profile, stays, isHanded }: AgentArguments): Promise<void> {
  const { env } = process;
  process.umask(0o077);
  const ending = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ending.abort());
  // The terminal or the journal that its lines go to may be closed; it goes on.
  process.stderr.on('error', () => {});
  const context = createClientContext({
    env,
    profile: profile ?? (env.ONCALL_PROFILE || 'default'),
    now: Date.now,
    warn: (message) => log.write('warning', { message }),
    interactive: false,
    askPassphrase: undefined,
    keychainChild: [process.execPath, `${__dirname}/keychain-child.js`],
  });
  const log = openLog(context.paths.agentLog, Date.now, (line) => void process.stderr.write(line));
  const running = runAgent({
    context,
    version,
    clocks: { now: Date.now, monotonic: () => performance.now(), uptime: () => uptime() * 1000 },
    random: Math.random,
    log,
    notify: desktopNotify(env),
    pid: process.pid,
    rssBytes: () => process.memoryUsage.rss(),
    signal: ending.signal,
    handed: isHanded ? { lock: LOCK_FD, record: await readRecord() } : undefined,
    graceMs: stays ? undefined : GRACE_MS,
  });
  await running.catch((error: unknown) => {
    log.write('failed', { message: wordsOf(error) });
    throw error;
  });
}

/** Throws AppError `corrupt_file`. */
async function readRecord(): Promise<DeviceRecord | null> {
  let text = '';
  const timer = setTimeout(() => process.stdin.destroy(), PATIENCE_MS);
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += chunk;
    if (text.length > MOST_BYTES || text.includes('\n')) break;
  }
  clearTimeout(timer);
  const { record } = JSON.parse(text) as { record: unknown };
  return record === null ? null : parseDeviceRecord(JSON.stringify(record));
}

const args = readAgentArguments(process.argv.slice(2));
if (args !== undefined) {
  main(args)
    .catch((error: unknown) => {
      const known = isAppError(error) ? error : undefined;
      process.stderr.write(`oncall: error: ${known?.message ?? 'something went wrong inside oncall'}\n`);
      if (known?.hint !== undefined) process.stderr.write(`oncall: hint: ${known.hint}\n`);
      process.exitCode = known?.exitCode ?? 1;
    })
    // A call that hangs somewhere must not keep it.
    .finally(() => process.exit());
}
