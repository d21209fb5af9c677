/**
 * One agent, from its lock to its end. It begins with the lock, which says that it is the only one; then come socket, keys, and
 * what it keeps. It ends when nothing is left to keep, when it is told to, and when the folder that it is for has gone.
 */
import { closeSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { dirname } from 'node:path';
import { prepareSocket } from '../client/agent-socket.ts';
import { type Greeting, SCHEMA } from '../client/agent-wire.ts';
import { createBroker } from '../client/broker.ts';
import { type Client, requireConfig } from '../client/client.ts';
import type { ClientConfig } from '../client/config.ts';
import type { ClientContext } from '../client/context.ts';
import { type Device, deviceOf, openDevice } from '../client/device-key.ts';
import type { DeviceRecord } from '../client/device-record.ts';
import { ensureDir } from '../client/files.ts';
import { startHearing } from '../client/hearing.ts';
import { loadLocks, openLockFile } from '../client/lock.ts';
import { AppError } from '../protocol/errors.ts';
import { formatInstant } from '../protocol/time.ts';
import type { Clocks } from './clock.ts';
import { type Keeper, startKeeper } from './keeper.ts';
import { type Listening, listenAt } from './listen.ts';
import type { AgentLog } from './log.ts';
import type { Notify } from './notify.ts';
import { pause } from './pause.ts';
import type { Random } from './schedule.ts';
import { serve } from './serve.ts';
import { wordsOf } from './tell.ts';

/** So that the next command finds a warm one. */
export const GRACE_MS = 60_000;
/** How often an agent without keys looks whether it may have them, and any whether its folder is still there. */
const [LOCKED_MS, LOOK_MS] = [60_000, 15_000];

export interface AgentInput {
  readonly context: ClientContext;
  readonly version: string;
  readonly clocks: Clocks;
  readonly random: Random;
  readonly log: AgentLog;
  readonly notify: Notify;
  readonly pid: number;
  readonly rssBytes: () => number;
  readonly signal: AbortSignal;
  /** From whoever started it: the lock, held already, and the device's keys. */
  readonly handed?: { readonly lock: number; readonly record: DeviceRecord | null } | undefined;
  /** Undefined: it stays when there is nothing to keep. */
  readonly graceMs: number | undefined;
}

/**
 * Until its end. Throws AppError `busy` (there is one already), `not_enrolled`, `config_invalid`, `unsafe_file` (its folder can be
 * entered by others).
 */
export async function runAgent(input: AgentInput): Promise<void> {
  const lock = input.handed?.lock ?? (await takeLock(input.context.paths.agentLock));
  try {
    await new Agent(input, await requireConfig(input.context)).run();
  } finally {
    closeSync(lock);
  }
}

async function takeLock(path: string): Promise<number> {
  ensureDir(dirname(path));
  const locks = await loadLocks();
  const file = openLockFile(path);
  if (locks.tryLock(file)) return file;
  closeSync(file);
  throw new AppError('busy', 'an agent is running already', { hint: 'oncall agent status' });
}

class Agent {
  readonly #input: AgentInput;
  readonly #config: ClientConfig;
  readonly #startedAtMs: number;
  readonly #ending = new AbortController();
  #keeper: Keeper | undefined;
  #client: Client | undefined;
  #listening: Listening | undefined;

  constructor(input: AgentInput, config: ClientConfig) {
    this.#input = input;
    this.#config = config;
    this.#startedAtMs = input.clocks.now();
    const stop = () => this.#ending.abort();
    input.signal.addEventListener('abort', stop);
    if (input.signal.aborted) stop();
  }

  async run(): Promise<void> {
    const { context, log, handed } = this.#input;
    const path = prepareSocket(context.paths, context.env);
    if (path === undefined)
      throw new AppError('usage', 'there is no agent on this system', {
        hint: 'commands renew what they use themselves: oncall run, oncall renew',
      });
    log.write('started', { pid: this.#input.pid, version: this.#input.version });
    this.#listening = await listenAt({
      path,
      greeting: () => this.#greeting(),
      answer: (request, signal) => serve(request, this.#served(), signal),
      onGone: () => this.#end('its socket is gone'),
    });
    try {
      if (handed !== undefined) await this.#hold(handed.record);
      else await this.#fetchKeys();
      await this.#untilOver(this.#listening);
    } finally {
      this.#ending.abort();
      this.#listening.close();
      this.#client?.broker.close();
      log.write('ended', { pid: this.#input.pid });
    }
  }

  /** Where the keystore is locked, somebody will hand them over, or unlock it. */
  async #fetchKeys(): Promise<void> {
    try {
      await this.#keepWith(await openDevice(this.#config.device, this.#input.context));
    } catch (error) {
      this.#input.log.write('keys.missing', { message: wordsOf(error) });
    }
  }

  async #hold(record: DeviceRecord | null): Promise<void> {
    if (this.#client === undefined)
      await this.#keepWith(await deviceOf(this.#config.device, this.#input.context, record));
  }

  async #keepWith(device: Device): Promise<void> {
    const { context, clocks, random, log, notify, graceMs } = this.#input;
    const { paths, now, env, warn } = context;
    const open = () =>
      createBroker({
        ...{ config: this.#config, signer: device.signer, device: this.#config.device.id },
        ...{ paths, now, env, warn },
      });
    let broker = open();
    const client: Client = {
      context,
      config: this.#config,
      device: async () => device,
      get broker() {
        return broker;
      },
    };
    this.#client = client;
    const keeper = startKeeper({
      ...{ client, clocks, random, log, notify, graceMs, network: addresses },
      signal: this.#ending.signal,
      hear: (signal) => startHearing({ broker, now, signal }),
      reconnect() {
        broker.close();
        broker = open();
      },
      isBusy: () => (this.#listening?.busy ?? 0) > 0,
    });
    this.#keeper = keeper;
    void keeper.ended.then(() => this.#end('nothing is left to keep'));
  }

  async #untilOver(listening: Listening): Promise<void> {
    const { signal } = this.#ending;
    for (let triedAtMs = this.#input.clocks.now(); !signal.aborted; await pause(LOOK_MS, signal)) {
      if (!listening.isInPlace()) return this.#end('its socket is gone');
      const isDue = this.#client === undefined && this.#input.clocks.now() - triedAtMs >= LOCKED_MS;
      if (!isDue) continue;
      triedAtMs = this.#input.clocks.now();
      await this.#fetchKeys();
    }
  }

  #end(because: string): void {
    if (!this.#ending.signal.aborted) this.#input.log.write('ending', { because });
    this.#ending.abort();
  }

  #greeting(): Greeting {
    const { context, version, pid } = this.#input;
    const { broker, device } = this.#config;
    return {
      ...{ schema: SCHEMA, version, pid, profile: context.paths.profile, broker },
      ...{ deviceId: device.id, keyId: device.keyId, holdsKey: this.#client !== undefined },
    };
  }

  #served() {
    return {
      client: () => this.#client,
      hold: (record: DeviceRecord | null) => this.#hold(record),
      status: () => this.#status(),
      stop: () => this.#end('it was told to'),
      held: () => void this.#keeper?.wake(),
    };
  }

  #status(): object {
    const { pid, version, rssBytes } = this.#input;
    const heardAtMs = this.#keeper?.heardAtMs;
    return {
      ...{ pid, version, broker: this.#config.broker, user: this.#config.user },
      startedAt: formatInstant(this.#startedAtMs),
      brokerHeardAt: heardAtMs === undefined ? null : formatInstant(heardAtMs),
      holdsKey: this.#client !== undefined,
      rssBytes: rssBytes(),
      grants: this.#keeper?.grants() ?? [],
    };
  }
}

function addresses(): string {
  return Object.values(networkInterfaces())
    .flatMap((all) => all ?? [])
    .map(({ address }) => address)
    .sort()
    .join(' ');
}
