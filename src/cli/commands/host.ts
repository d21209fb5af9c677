/** `oncall host`: the unit at a target that tells the broker who logs in there, and ends what is over. */
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { AppError } from '../../protocol/errors.ts';
import { escapeForTerminal, isPartName } from '../../protocol/names.ts';
import { type AnyCommand, defineCommand, FILES, type Typed, textOption } from '../command.ts';
import { writeResult } from '../io.ts';
import { propertyLines } from '../table.ts';
import { bothTimes } from '../times.ts';

const CONFIG_FILE = '/etc/oncall/host.json';
/** Of a host that reports once a minute. */
const SILENT_MS = 900_000;

function declareConfig(command: Command): Command {
  return command.option('--config <file>', `what oncall broker target printed (${CONFIG_FILE})`);
}

function readConfig(typed: Typed): { file: string } {
  return { file: textOption(typed, 'config') ?? CONFIG_FILE };
}

export const hostCommands = {
  init: defineCommand<{ file: string; resource: string }>({
    json: ['host.init'],
    examples: [
      ['oncall host init --resource db-host', 'makes the key, and prints what to type at the broker'],
      ['oncall host init --config ./host.json --json', 'the same by another file, for a script'],
    ],
    completes: { '--config': FILES, '--resource': { names: ['resources'] } },
    declare: (command) =>
      void declareConfig(command).option('--resource <resource>', 'the resource that this host serves'),
    read: (typed) => {
      const resource = textOption(typed, 'resource');
      if (resource !== undefined && !isPartName(resource))
        throw new AppError('usage', `not a resource: ${resource}`);
      return { ...readConfig(typed), resource: resource ?? 'RESOURCE' };
    },
    run: async ({ io, format }, { file, resource }) => {
      const { readHostConfig } = await import('../../host/config.ts');
      const { ensureHostKey } = await import('../../host/key.ts');
      const { publicKey, isNew } = await ensureHostKey(readHostConfig(file).state);
      const command = `oncall broker host add ${resource} ${hostname()} --key ${publicKey}`;
      await writeResult(io, format, {
        command: 'host.init',
        data: { key: publicKey, isNew, command },
        lines: () => [`${isNew ? 'made a key' : 'the key is there'}; on the broker's host:`, `  ${command}`],
      });
    },
  }),

  run: defineCommand<{ file: string }>({
    json: [],
    examples: [
      ['oncall host run', 'until SIGTERM; a line of JSON for each thing that happens'],
      ['oncall host run --config ./host.json', 'by another file'],
    ],
    completes: { '--config': FILES },
    declare: (command) => void declareConfig(command),
    read: readConfig,
    run: async ({ io, env, now, signals }, { file }) => {
      const { readHostConfig } = await import('../../host/config.ts');
      const { runHost } = await import('../../host/run.ts');
      const stop = new AbortController();
      const giveBack = signals.take(() => stop.abort());
      try {
        await runHost({
          ...{ config: readHostConfig(file), env, now, random: Math.random, signal: stop.signal },
          // A line of JSON: what came out of a log ends no line in it.
          log: (event, more) => io.stdout.write(`${escapeForTerminal(JSON.stringify({ event, ...more }))}\n`),
        });
      } finally {
        giveBack();
      }
    },
  }),

  status: defineCommand<{ file: string }>({
    json: ['host.status'],
    examples: [
      ['oncall host status', 'when the broker last took a report, and what waits'],
      ['oncall host status --json', 'the same for a script'],
    ],
    completes: { '--config': FILES },
    declare: (command) => void declareConfig(command),
    read: readConfig,
    run: async ({ io, format, now }, { file }) => {
      const { readHostConfig } = await import('../../host/config.ts');
      const { readTold } = await import('../../host/memory.ts');
      const told = readTold(readHostConfig(file).state);
      if (told === undefined) {
        throw new AppError('not_found', 'oncall host has never run here', {
          hint: 'systemctl enable --now oncall-host',
        });
      }
      const { reportedAt, listAt, list, waiting, lost, sessions, failing } = told;
      const time = (at: string | null) => (at === null ? 'never' : bothTimes(at, now()));
      await writeResult(io, format, {
        command: 'host.status',
        data: told,
        lines: () =>
          propertyLines([
            ['reported', time(reportedAt)],
            ['revocations', list === null ? 'none pulled' : `list ${list}, ${time(listAt)}`],
            ['sessions', `${sessions} open by certificate`],
            ['waiting', `${waiting} logins to be told${lost > 0 ? `, ${lost} lost` : ''}`],
            ...Object.entries(failing).map(([what, why]): [string, string] => [`${what} fails`, why]),
          ]),
      });
      if (reportedAt === null || now() - Date.parse(reportedAt) > SILENT_MS) {
        throw new AppError('check_failed', 'the broker has not taken a report for a quarter of an hour', {
          hint: "systemctl status oncall-host; oncall broker host list, on the broker's host",
        });
      }
    },
  }),
} as const satisfies Record<string, AnyCommand>;
