/** The broker's commands: parsed here, done in src/broker/commands.ts, which is loaded only when one of them runs. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { AppError } from '../../protocol/errors.ts';
import { isPartName } from '../../protocol/names.ts';
import type { BrokerCommands, BrokerHost, BrokerResult } from '../broker-commands.ts';
import {
  type AnyCommand,
  type Completes,
  defineCommand,
  durationOption,
  FILES,
  FOLDERS,
  firstArgument,
  flagOption,
  type Typed,
  textOption,
} from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';

interface Parts<Options> {
  /** In JSON: `oncall.broker.<name>/v1`. */
  name: string;
  declare?: (command: Command) => Command;
  completes?: Completes;
  read(typed: Typed): Options;
  run(
    broker: BrokerCommands,
    options: Options & InDirectory,
    host: BrokerHost,
  ): Promise<BrokerResult | undefined>;
  /** Ends by itself after a signal, when what is in flight is done. */
  serves?: boolean;
}

interface InDirectory {
  /** Undefined: ONCALL_BROKER_DIR, else the current directory. */
  directory: string;
}

export const brokerCommands = {
  init: brokerCommand({
    name: 'init',
    declare: (command) =>
      command
        .argument('[dir]', 'the directory to write (or --dir)')
        .option('--admin <user>', 'the first person, who gets the first invitation')
        .option('--public-url <url>', 'the URL that clients use')
        .option('--listen <host:port>', 'where the broker listens'),
    completes: { dir: FOLDERS },
    read: (typed) => ({
      admin: textOption(typed, 'admin'),
      publicUrl: textOption(typed, 'publicUrl'),
      listen: textOption(typed, 'listen'),
    }),
    run: (broker, options, host) => broker.brokerInit(options, host),
  }),
  check: brokerCommand({
    name: 'check',
    declare: (command) => command.argument('[dir]', 'the broker directory (or --dir)'),
    completes: { dir: FOLDERS },
    read: () => ({}),
    run: (broker, options, host) => broker.brokerCheck(options, host),
  }),
  serve: brokerCommand({
    name: 'serve',
    declare: (command) => command.argument('[dir]', 'the broker directory (or --dir)'),
    completes: { dir: FOLDERS },
    read: () => ({}),
    run: (broker, options, host) => broker.brokerServe(options, host),
    serves: true,
  }),
  invite: brokerCommand({
    name: 'invite',
    declare: (command) =>
      command
        .argument('<user>', 'a person of the catalogue')
        .option('-d, --for <duration>', 'how long the invitation is good, such as 24h'),
    read: (typed) => ({ user: firstArgument(typed, 'user'), forSeconds: durationOption(typed, 'for') }),
    run: (broker, options, host) => broker.brokerInvite(options, host),
  }),
  target: brokerCommand({
    name: 'target',
    declare: (command) =>
      command
        .argument('<resource>', 'a resource of the catalogue')
        .option('--check', 'try each requirement at the target'),
    completes: { resource: { names: ['resources'] } },
    read: (typed) => ({ resource: readResource(typed), check: flagOption(typed, 'check') }),
    run: (broker, options, host) => broker.brokerTarget(options, host),
  }),
  migrate: brokerCommand({
    name: 'migrate',
    read: () => ({}),
    run: (broker, options, host) => broker.brokerMigrate(options, host),
  }),
  backup: brokerCommand({
    name: 'backup',
    declare: (command) => command.argument('<file>', 'the file to write'),
    completes: { file: FILES },
    read: (typed) => ({ file: firstArgument(typed, 'file') }),
    run: (broker, options, host) => broker.brokerBackup(options, host),
  }),
  restore: brokerCommand({
    name: 'restore',
    declare: (command) => command.argument('<file>', 'a file that backup wrote'),
    completes: { file: FILES },
    read: (typed) => ({ file: firstArgument(typed, 'file') }),
    run: (broker, options, host) => broker.brokerRestore(options, host),
  }),
  unit: brokerCommand({
    name: 'unit',
    declare: (command) =>
      command
        .argument('[dir]', 'the broker directory (or --dir)')
        .option('--user <name>', 'whom it runs as, who owns the directory'),
    read: (typed) => ({ user: textOption(typed, 'user') }),
    run: (broker, options, host) => broker.brokerUnit(options, host),
  }),
  rotateTls: brokerCommand({
    name: 'rotate.tls',
    read: () => ({}),
    run: (broker, options, host) => broker.brokerRotateTls(options, host),
  }),
  rotateTokens: brokerCommand({
    name: 'rotate.tokens',
    read: () => ({}),
    run: (broker, options, host) => broker.brokerRotateTokens(options, host),
  }),
} as const satisfies Record<string, AnyCommand>;

/** Those whose one argument may be the directory. */
const DIRECTORY_ARGUMENT: readonly string[] = ['init', 'check', 'serve', 'unit'];

function brokerCommand<Options>({
  name,
  declare,
  completes,
  read,
  run,
  serves = false,
}: Parts<Options>): AnyCommand {
  return defineCommand({
    declare: (command) => {
      const declared = declare === undefined ? command : declare(command);
      declared.option('--dir <dir>', 'the broker directory (ONCALL_BROKER_DIR, else .)');
    },
    completes: { ...completes, '--dir': FOLDERS },
    read: (typed) => {
      const flag = textOption(typed, 'dir');
      const argument = DIRECTORY_ARGUMENT.includes(name) ? typed.args[0] : undefined;
      if (flag !== undefined && argument !== undefined) {
        throw new AppError('usage', 'two directories are given', {
          hint: 'use either --dir or the argument',
        });
      }
      return { ...read(typed), directory: flag ?? argument };
    },
    run: async (context, { directory, ...options }) => {
      const broker: BrokerCommands = await import('../../broker/commands.ts');
      const where = directory ?? (context.env.ONCALL_BROKER_DIR || '.');
      const work = (host: BrokerHost) =>
        run(broker, { ...options, directory: where } as Options & InDirectory, host);
      const result = serves
        ? await serving(context, work)
        : await work(createHost(context, context.signals.aborted));
      if (result === undefined) return;
      const { data, lines, failure } = result;
      await writeResult(context.io, context.format, { command: `broker.${name}`, data, lines: () => lines });
      if (failure !== undefined) throw failure;
    },
  });
}

/** Gives the broker the signals while it runs: SIGHUP reloads, any other stops it gently. */
async function serving<T>(context: Context, work: (host: BrokerHost) => Promise<T>): Promise<T> {
  const stop = new AbortController();
  const reloads: (() => void)[] = [];
  const giveBack = context.signals.take((signal) => {
    if (signal !== 'SIGHUP') stop.abort();
    else for (const reload of reloads) reload();
  });
  try {
    return await work({
      ...createHost(context, stop.signal),
      onReload: (listener) => void reloads.push(listener),
    });
  } finally {
    giveBack();
  }
}

function createHost({ io, env, now, agentProgram }: Context, signal: AbortSignal): BrokerHost {
  const [node = 'node', agent = ''] = agentProgram;
  return {
    out: (text) => io.stdout.write(text),
    err: (text) => io.stderr.write(text),
    env,
    program: [node, resolve(agent, '../../bin/oncall')],
    now,
    signal,
    onReload: () => {},
  };
}

function readResource(typed: Typed): string {
  const resource = firstArgument(typed, 'resource');
  if (!isPartName(resource)) throw new AppError('usage', `not a resource: ${resource}`);
  return resource;
}
