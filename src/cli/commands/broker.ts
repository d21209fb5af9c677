/** The broker's commands: parsed here, done in src/broker/commands.ts, which is loaded only when one of them runs. */
import { resolve } from 'node:path';
import type { Command } from 'commander';
import { AppError } from '../../protocol/errors.ts';
import { isPartName } from '../../protocol/names.ts';
import type { BrokerCommands, BrokerHost, BrokerResult } from '../broker-commands.ts';
import {
  type AnyCommand,
  type CommandPage,
  type Completes,
  defineCommand,
  durationOption,
  FILES,
  FOLDERS,
  firstArgument,
  flagOption,
  requiredOption,
  type Typed,
  textOption,
} from '../command.ts';
import type { Context } from '../context.ts';
import { type Line, piecesOf, writeResult } from '../io.ts';
import type { Output, OutputName } from '../outputs.ts';
import { localWords } from '../times.ts';

type BrokerOutput = OutputName extends infer Name
  ? Name extends `broker.${infer Rest}`
    ? Rest
    : never
  : never;

interface Parts<Options> {
  /** In JSON: `oncall.broker.<name>/v1`. */
  name: BrokerOutput | 'serve';
  examples: CommandPage['examples'];
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
    examples: [
      ['oncall broker init ./broker --admin dora', 'a new broker, and the first invitation'],
      [
        'oncall broker init /etc/oncall --public-url https://oncall.example.com:7443 --listen 0.0.0.0:7443',
        'one that others reach',
      ],
    ],
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
    examples: [
      ['oncall broker check ./broker', 'every finding with file, line and what to do'],
      ['oncall broker check ./broker --json', 'the same for a pipeline'],
    ],
    declare: (command) => command.argument('[dir]', 'the broker directory (or --dir)'),
    completes: { dir: FOLDERS },
    read: () => ({}),
    run: (broker, options, host) => broker.brokerCheck(options, host),
  }),
  serve: brokerCommand({
    name: 'serve',
    examples: [
      ['oncall broker serve ./broker', 'until SIGTERM; SIGHUP reads the files again'],
      ['oncall broker serve --dir /etc/oncall', 'the same, as a service unit would say it'],
    ],
    declare: (command) => command.argument('[dir]', 'the broker directory (or --dir)'),
    completes: { dir: FOLDERS },
    read: () => ({}),
    run: (broker, options, host) => broker.brokerServe(options, host),
    serves: true,
  }),
  invite: brokerCommand({
    name: 'invite',
    examples: [
      ['oncall broker invite ana --dir ./broker', 'single-use, good for a day'],
      ['oncall broker invite ana --for 1h --json --dir ./broker', 'good for an hour, for a script'],
    ],
    declare: (command) =>
      command
        .argument('<user>', 'a person of the catalogue')
        .option('-d, --for <duration>', 'how long the invitation is good, such as 24h'),
    read: (typed) => ({ user: firstArgument(typed, 'user'), forSeconds: durationOption(typed, 'for') }),
    run: (broker, options, host) => broker.brokerInvite(options, host),
  }),
  target: brokerCommand({
    name: 'target',
    examples: [
      ['oncall broker target db-replica --dir ./broker', "exactly what the database's admin does"],
      ['oncall broker target db-replica --check --dir ./broker', 'try each of it at the database'],
    ],
    declare: (command) =>
      command
        .argument('<resource>', 'a resource of the catalogue')
        .option('--check', 'try each requirement at the target'),
    completes: { resource: { names: ['resources'] } },
    read: (typed) => ({ resource: readResource(typed), check: flagOption(typed, 'check') }),
    run: (broker, options, host) => broker.brokerTarget(options, host),
  }),
  hostAdd: brokerCommand({
    name: 'host.add',
    examples: [
      [
        'oncall broker host add db-host db-host-1 --key ed25519:…',
        'the line that oncall host init printed there',
      ],
      [
        'oncall broker host add other-host db-host-1 --key ed25519:…',
        'the same machine, for another resource',
      ],
    ],
    declare: (command) =>
      command
        .argument('<resource>', 'a resource of the catalogue')
        .argument('<name>', "the host's name, as the catalogue has it")
        .option('--key <key>', 'what oncall host init printed there: ed25519:…'),
    read: (typed) => ({
      resource: readResource(typed),
      name: secondArgument(typed, 'name'),
      publicKey: requiredOption(typed, 'key', 'ed25519:…'),
    }),
    run: (broker, options, host) => broker.brokerHostAdd(options, host),
  }),
  hostRemove: brokerCommand({
    name: 'host.remove',
    examples: [
      ['oncall broker host remove db-host db-host-1', 'what it reports is refused from now on'],
      ['oncall broker host remove db-host db-host-1 --json', 'the same for a script'],
    ],
    declare: (command) =>
      command
        .argument('<resource>', 'a resource of the catalogue')
        .argument('<name>', "the host's name, as it was added"),
    read: (typed) => ({ resource: readResource(typed), name: secondArgument(typed, 'name') }),
    run: (broker, options, host) => broker.brokerHostRemove(options, host),
  }),
  hostList: brokerCommand({
    name: 'host.list',
    examples: [
      ['oncall broker host list', 'which hosts report, and when each did last'],
      ['oncall broker host list --json', 'the same for a script'],
    ],
    read: () => ({}),
    run: (broker, options, host) => broker.brokerHostList(options, host),
  }),
  migrate: brokerCommand({
    name: 'migrate',
    examples: [
      ['oncall broker migrate --dir ./broker', 'after an upgrade, and after a backup'],
      ['oncall broker migrate --dir ./broker --json', 'the same for a pipeline'],
    ],
    read: () => ({}),
    run: (broker, options, host) => broker.brokerMigrate(options, host),
  }),
  backup: brokerCommand({
    name: 'backup',
    examples: [
      ['oncall broker backup ./oncall-backup.db --dir ./broker', 'while the broker serves'],
      ['oncall broker backup /var/backups/oncall.db --json --dir /etc/oncall', 'from a timer'],
    ],
    declare: (command) => command.argument('<file>', 'the file to write'),
    completes: { file: FILES },
    read: (typed) => ({ file: firstArgument(typed, 'file') }),
    run: (broker, options, host) => broker.brokerBackup(options, host),
  }),
  restore: brokerCommand({
    name: 'restore',
    examples: [
      ['oncall broker restore ./oncall-backup.db --dir ./broker', 'while no broker serves'],
      ['oncall broker restore /var/backups/oncall.db --dir /etc/oncall', 'the old store is kept beside it'],
    ],
    declare: (command) => command.argument('<file>', 'a file that backup wrote'),
    completes: { file: FILES },
    read: (typed) => ({ file: firstArgument(typed, 'file') }),
    run: (broker, options, host) => broker.brokerRestore(options, host),
  }),
  unit: brokerCommand({
    name: 'unit',
    examples: [
      ['oncall broker unit /etc/oncall --user oncall', 'for /etc/systemd/system/oncall-broker.service'],
      ['oncall broker unit --dir ./broker --json', 'the same for a script'],
    ],
    declare: (command) =>
      command
        .argument('[dir]', 'the broker directory (or --dir)')
        .option('--user <name>', 'whom it runs as, who owns the directory'),
    read: (typed) => ({ user: textOption(typed, 'user') }),
    run: (broker, options, host) => broker.brokerUnit(options, host),
  }),
  rotateTls: brokerCommand({
    name: 'rotate.tls',
    examples: [
      ['oncall broker rotate tls --dir ./broker', 'devices need nothing; then send SIGHUP'],
      ['oncall broker rotate tls --dir /etc/oncall --json', 'from a timer'],
    ],
    read: () => ({}),
    run: (broker, options, host) => broker.brokerRotateTls(options, host),
  }),
  rotateTokens: brokerCommand({
    name: 'rotate.tokens',
    examples: [
      ['oncall broker rotate tokens --dir ./broker', 'the next key for http targets'],
      ['oncall broker rotate tokens --dir /etc/oncall --json', 'from a timer'],
    ],
    read: () => ({}),
    run: (broker, options, host) => broker.brokerRotateTokens(options, host),
  }),
} as const satisfies Record<string, AnyCommand>;

/** Those whose one argument may be the directory. */
const DIRECTORY_ARGUMENT: readonly string[] = ['init', 'check', 'serve', 'unit'];

function brokerCommand<Options>({
  name,
  examples,
  declare,
  completes,
  read,
  run,
  serves = false,
}: Parts<Options>): AnyCommand {
  return defineCommand({
    json: name === 'serve' ? [] : [`broker.${name}`],
    examples,
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
      if (result === undefined || name === 'serve') return;
      const { lines, failure } = result;
      // What a target's admin gets is copied as it is.
      const shown = name === 'target' ? lines : lines.map((line) => inLocalTime(line, context.now()));
      // The broker does not know how its words are printed; the tests hold them to the schema.
      const data = result.data as Output<`broker.${typeof name}`>;
      await writeResult(context.io, context.format, { command: `broker.${name}`, data, lines: () => shown });
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

function inLocalTime(line: Line, now: number): Line {
  return piecesOf(line).map((piece) =>
    typeof piece === 'string' ? localWords(piece, now) : { ...piece, text: localWords(piece.text, now) },
  );
}

function secondArgument(typed: Typed, name: string): string {
  const [, value] = typed.args;
  if (value === undefined) throw new AppError('usage', `${name} is missing`);
  return value;
}

function readResource(typed: Typed): string {
  const resource = firstArgument(typed, 'resource');
  if (!isPartName(resource)) throw new AppError('usage', `not a resource: ${resource}`);
  return resource;
}
