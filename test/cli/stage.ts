// A command on a stage: streams that remember and whose terminal state is set, and a broker that gives prepared answers
// and refuses every call it was not told of. For what commands say; what they do is tested against the real broker.

import { resolve } from 'node:path';
import { formatOf } from '../../src/cli/common-options.ts';
import type { Context } from '../../src/cli/context.ts';
import { reportFailure } from '../../src/cli/failure.ts';
import { type Io, ioFor, type Screen } from '../../src/cli/io.ts';
import { parseCommandLine } from '../../src/cli/program.ts';
import { type EndSignal, Signals } from '../../src/cli/signals.ts';
import type { BrokerClient } from '../../src/client/broker.ts';
import type { Client } from '../../src/client/client.ts';
import type { ClientConfig } from '../../src/client/config.ts';
import { createClientContext } from '../../src/client/context.ts';
import { AppError } from '../../src/protocol/errors.ts';
import { checkOutputs } from '../support/outputs.ts';
import { tempDir } from '../support/temp.ts';

export const NOW = Date.parse('2026-01-05T02:14:00.000Z');

export interface Stage {
  /** Answers by `METHOD /path`; a function gets the body. */
  readonly answers?: Readonly<Record<string, unknown>>;
  /** The event stream's bytes; without it the broker has no stream. */
  readonly stream?: (signal: AbortSignal | undefined) => AsyncIterable<Uint8Array>;
  /** Both output streams are colour terminals. */
  readonly terminal?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Played {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** `METHOD /path`, in order. */
  readonly calls: readonly { readonly call: string; readonly body: unknown }[];
}

/** Runs a command line as main.ts would. */
export async function play(args: readonly string[], stage: Stage = {}): Promise<Played> {
  const out = memoryScreen(stage.terminal === true);
  const err = memoryScreen(stage.terminal === true);
  const io: Io = { stdout: out.screen, stderr: err.screen, stdin: { isTerminal: false, stream: undefined } };
  const env = { ONCALL_HOME: tempDir(), ...stage.env };
  const calls: { call: string; body: unknown }[] = [];
  let code = 0;
  try {
    const parsed = await parseCommandLine(args);
    if (parsed.kind !== 'command') throw new Error(`not a command: ${args.join(' ')}`);
    const context = stageContext(io, env, stage, calls, parsed.common.format);
    await parsed.run({
      ...context,
      exitWith: (status) => {
        code = status;
      },
    });
  } catch (error) {
    code = await reportFailure(error, { io, format: formatOf(args), env, now: NOW });
  }
  checkOutputs(out.text());
  checkOutputs(err.text());
  return { code, stdout: out.text(), stderr: err.text(), calls };
}

export function memoryScreen(isTerminal: boolean): { screen: Screen; text(): string } {
  let written = '';
  const screen: Screen = {
    write: (text) => {
      written += text;
    },
    isTerminal,
    columns: 80,
    colorLevel: isTerminal ? 1 : 0,
    stream: undefined,
  };
  return { screen, text: () => written };
}

export function stageContext(
  io: Io,
  env: Readonly<Record<string, string>>,
  stage: Stage,
  calls: { call: string; body: unknown }[],
  format: Context['format'],
): Context {
  const client = createClientContext({
    env,
    profile: 'default',
    now: () => NOW,
    warn: () => {},
    interactive: false,
    askPassphrase: undefined,
    keychainChild: [],
  });
  const broker = stageBroker(stage, calls);
  const device: Client['device'] = async () => ({
    signer: { keyId: 'k', alg: 'ed25519', sign: async () => new Uint8Array() },
    cacheKey: undefined,
    sealing: undefined,
    record: null,
  });
  return {
    io: ioFor(io, format),
    format,
    env,
    now: () => NOW,
    signals: new Signals({ on: (_: EndSignal) => {} }),
    clientContext: async () => client,
    config: async () => CONFIG,
    client: async () => ({ context: client, config: CONFIG, device, broker }),
    broker: async () => broker,
    agentProgram: ['/usr/bin/node', '/opt/oncall/dist/agent.js'],
    completionsDir: resolve('completions'),
    exitWith: () => {},
    close: async () => {},
  };
}

const CONFIG: ClientConfig = {
  version: 1,
  broker: 'https://broker.example:7443/',
  identityKey: 'ed25519:',
  logKey: 'ed25519:',
  origin: 'broker.example/audit',
  ca: 'pinned',
  user: 'alice',
  device: { id: 'dev_01', keyId: 'k', name: 'laptop', keystore: 'file' },
};

function stageBroker(
  { answers = {}, stream }: Stage,
  calls: { call: string; body: unknown }[],
): BrokerClient {
  async function answer(call: string, body: unknown): Promise<never> {
    calls.push({ call, body });
    if (!Object.hasOwn(answers, call)) throw new Error(`nobody told the stage of ${call}`);
    const prepared = answers[call];
    if (prepared instanceof Error) throw prepared;
    return structuredClone(typeof prepared === 'function' ? prepared(body) : prepared) as never;
  }
  return {
    get: (path) => answer(`GET ${path}`, undefined),
    post: (path, body) => answer(`POST ${path}`, body),
    // An older broker's answer, unless a test tells a stream.
    stream: async (_, { signal } = {}) => {
      if (stream === undefined) throw new AppError('not_found', 'there is nothing here');
      return stream(signal);
    },
    skewMs: 0,
    close: () => {},
  };
}
