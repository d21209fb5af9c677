import type { AgentLine } from '../client/agent-line.ts';
import { hasJournal } from '../client/break-glass/journal-place.ts';
import { packsDueAt } from '../client/break-glass/look-at.ts';
import type { BrokerClient } from '../client/broker.ts';
import type { Client } from '../client/client.ts';
import type { ClientContext } from '../client/context.ts';
import { version } from '../protocol/version.ts';
import type { Context } from './context.ts';
import { type Environment, type Io, ioFor, type OutputFormat, warn } from './io.ts';
import type { Signals } from './signals.ts';
import { orInterrupted, withSpinner } from './waiting.ts';

export interface ContextInput {
  readonly io: Io;
  readonly format: OutputFormat;
  readonly profile: string | undefined;
  readonly env: Environment;
  readonly now: () => number;
  readonly signals: Signals;
  /** What starts the built `keychain-child.js`. */
  readonly keychainChild: readonly string[];
  /** What starts the built `agent.js`. */
  readonly agentProgram: readonly string[];
  readonly completionsDir: string;
  /** `--no-agent` makes it false. */
  readonly agent: boolean;
  readonly exitWith: (code: number) => void;
}

export function createContext(input: ContextInput): Context {
  const { format, env, now, signals, exitWith, agentProgram, completionsDir } = input;
  const io = ioFor(input.io, format);
  const clientContext = once(() => openClientContext({ ...input, io }));
  let reached = false;
  const config = once(async () => {
    const opened = await client.opened();
    if (opened !== undefined) return opened.config;
    const { requireConfig } = await import('../client/client.ts');
    return requireConfig(await clientContext());
  });
  const client = once(async (): Promise<Client> => {
    const { openClient } = await import('../client/client.ts');
    const opened = await openClient(await clientContext());
    const broker = onScreen(opened.broker, io, signals.aborted, () => {
      reached = true;
    });
    return { ...opened, broker, agent: opened.agent && lineOnScreen(opened.agent, io, signals.aborted) };
  });
  return {
    io,
    format,
    env,
    now,
    signals,
    exitWith,
    agentProgram,
    completionsDir,
    clientContext,
    config,
    client,
    broker: async () => (await client()).broker,
    async close() {
      const opened = await client.opened();
      if (opened === undefined) return;
      if (!signals.aborted.aborted && isSomethingLeft(opened, reached)) {
        const { afterCommand } = await import('./after-command.ts');
        await afterCommand(opened, { reached });
      }
      opened.broker.close();
    },
  };
}

/** Where an agent works for this device, it is the agent's. */
function isSomethingLeft({ context, agent }: Client, reached: boolean): boolean {
  if (agent !== undefined && !agent.isGone) return false;
  return hasJournal(context.paths) || (reached && packsDueAt(context) <= context.now());
}

/** `open` at the first call, its result at each; `opened` tells whether there is one to close. */
function once<T>(open: () => Promise<T>): (() => Promise<T>) & { opened(): Promise<T | undefined> } {
  let result: Promise<T> | undefined;
  const get = () => {
    result ??= open();
    return result;
  };
  return Object.assign(get, { opened: async () => result?.catch(() => undefined) });
}

async function openClientContext(input: ContextInput): Promise<ClientContext> {
  const { io, env, now, keychainChild, agentProgram } = input;
  const isAgentWanted = input.agent && env.ONCALL_AGENT !== 'off';
  const { createClientContext } = await import('../client/context.ts');
  const { askSecret, canAsk } = await import('./prompt.ts');
  // kubectl's older versions lend their plugins the terminal: nobody expects a question there.
  const interactive = canAsk(io) && env.KUBERNETES_EXEC_INFO === undefined;
  return createClientContext({
    env,
    profile: input.profile ?? (env.ONCALL_PROFILE || 'default'),
    now,
    warn: (message) => void warn(io, message),
    interactive,
    askPassphrase: interactive ? (question) => askSecret(io, question) : undefined,
    keychainChild,
    agent: isAgentWanted ? { version, program: agentProgram } : undefined,
  });
}

/** The same broker, whose calls end at Ctrl-C and turn a spinner when they take more than a moment. */
function onScreen(broker: BrokerClient, io: Io, signal: AbortSignal, onAnswer: () => void): BrokerClient {
  const watched = async <T>(call: Promise<T>) => {
    const answer = await orInterrupted(signal, withSpinner(io, 'asking the broker', call));
    onAnswer();
    return answer;
  };
  return {
    get: (path, options) => watched(broker.get(path, { signal, ...options })),
    post: (path, body, options) => watched(broker.post(path, body, { signal, ...options })),
    stream: (path, options) => watched(broker.stream(path, { signal, ...options })),
    get skewMs() {
      return broker.skewMs;
    },
    close: () => broker.close(),
  };
}

/** Credentials that the agent fetches take as long as those that we would. */
function lineOnScreen(line: AgentLine, io: Io, signal: AbortSignal): AgentLine {
  const words = 'asking the broker';
  const ensure: AgentLine['ensure'] = (grants, options) =>
    orInterrupted(signal, withSpinner(io, words, line.ensure(grants, { signal, ...options })));
  return {
    greeting: line.greeting,
    get isGone() {
      return line.isGone;
    },
    ask: line.ask,
    stream: line.stream,
    ensure,
  };
}
