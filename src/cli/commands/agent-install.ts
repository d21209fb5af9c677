import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { platform } from 'node:os';
import { dirname } from 'node:path';
import { describeService, SIGN } from '../../agent/service.ts';
import { isSystemError, removePath, writeFailure } from '../../client/files.ts';
import { AppError } from '../../protocol/errors.ts';
import { defineCommand, flagOption } from '../command.ts';
import type { Context } from '../context.ts';
import { writeHint, writeResult } from '../io.ts';

export interface AgentInstallOptions {
  readonly remove: boolean;
}

export const agentInstallCommand = defineCommand<AgentInstallOptions>({
  json: ['agent.install'],
  examples: [
    ['oncall agent install', 'start the agent at every login'],
    ['oncall agent install --remove', 'take that away again'],
  ],
  declare: (command) => void command.option('--remove', 'take it away again'),
  read: (typed) => ({ remove: flagOption(typed, 'remove') }),
  run: runAgentInstall,
});

/** Writes the job's file and says what starts it: nothing is started that nobody asked for. */
export async function runAgentInstall(context: Context, { remove }: AgentInstallOptions): Promise<void> {
  const { env, paths } = await context.clientContext();
  const service = describeService({
    platform: platform(),
    env,
    profile: paths.profile,
    program: context.agentProgram,
  });
  const before = readIfThere(service.path);
  const wasThere = before !== undefined;
  if (wasThere && !before.includes(SIGN)) {
    throw new AppError('conflict', `${service.path} was not written by oncall`, {
      hint: `look at it, then rm ${service.path}`,
    });
  }
  if (remove) removePath(service.path);
  else write(service.path, service.text);
  await writeResult(context.io, context.format, {
    command: 'agent.install',
    data: { file: service.path, installed: !remove, next: remove ? service.stop : service.start },
    lines: () => [`${remove ? (wasThere ? 'removed' : 'there was no') : 'wrote'} ${service.path}`],
  });
  if (context.format === 'table' && (!remove || wasThere))
    await writeHint(context.io, remove ? service.stop : service.start);
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw writeFailure(error, path);
  }
}

/** Nothing in it is secret, and the folders above are everybody's: they are left as they are. */
function write(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { mode: 0o644 });
  } catch (error) {
    throw writeFailure(error, path);
  }
}
