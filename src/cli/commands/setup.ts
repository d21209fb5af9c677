import { existsSync } from 'node:fs';
import { withHoldLock } from '../../client/hold.ts';
import {
  type BlockPlace,
  blockName,
  editedByHand,
  removeBlock,
  viewBlock,
  writeBlock,
} from '../../client/own-block.ts';
import { loadIntoAgent } from '../../client/ssh-agent-keys.ts';
import { beginToolFiles, noteFollowingBlock, readFollowingBlocks } from '../../client/tool-files.ts';
import { AppError } from '../../protocol/errors.ts';
import { defineCommand, firstArgument, flagOption, textOption } from '../command.ts';
import { COMPLETION_SHELLS } from '../completion-script.ts';
import type { Context } from '../context.ts';
import { writeHint, writeResult } from '../io.ts';
import type { SetupPlace, SetupTool } from '../setup/tool.ts';
import { readSetupTool, SETUP_TOOLS } from '../setup/tools.ts';
import { setupResult } from '../views/setup.ts';

export interface SetupOptions {
  readonly tool: SetupTool;
  readonly action: 'show' | 'write' | 'remove';
  /** Even if somebody has edited our lines. */
  readonly force: boolean;
  readonly shell: string | undefined;
  /** Certificates into the person's ssh-agent too. */
  readonly agent: boolean;
}

export const setupCommand = defineCommand<SetupOptions>({
  json: ['setup'],
  examples: [
    ['oncall setup ssh', 'show the lines that plain ssh needs'],
    ['oncall setup ssh --write', 'add them to ~/.ssh/config'],
  ],
  declare: (command) =>
    void command
      .argument('<tool>', SETUP_TOOLS.map(({ name }) => name).join(', '))
      .option('--write', 'add the lines to the file of the tool')
      .option('--remove', 'take them away')
      .option('--force', 'also where they were edited by hand: the edit is lost')
      .option('--agent', 'ssh: keys into the ssh-agent too, for as long as they live')
      .option('--shell <name>', 'bash, zsh, fish or powershell, where it matters (SHELL)')
      .addHelpText(
        'after',
        `\nTools\n${SETUP_TOOLS.map(({ name, summary }) => `  ${name.padEnd(10)}  ${summary}`).join('\n')}\n`,
      ),
  completes: {
    tool: { words: SETUP_TOOLS.map(({ name, summary }) => [name, summary] as const) },
    '--shell': { words: Object.keys(COMPLETION_SHELLS) },
  },
  read: (typed) => {
    const [write, remove, force] = [
      flagOption(typed, 'write'),
      flagOption(typed, 'remove'),
      flagOption(typed, 'force'),
    ];
    if (write && remove)
      throw new AppError('usage', '--write and --remove contradict each other', { hint: 'use one of them' });
    if (force && !write && !remove) {
      throw new AppError('usage', '--force has nothing to force', { hint: 'add --write or --remove' });
    }
    const [tool, agent] = [readSetupTool(firstArgument(typed, 'tool')), flagOption(typed, 'agent')];
    if (agent && (tool.usesAgent !== true || !write)) {
      throw new AppError('usage', '--agent belongs to: oncall setup ssh --write', {
        hint: 'oncall setup ssh --write --agent',
      });
    }
    return {
      tool,
      agent,
      action: write ? 'write' : remove ? 'remove' : 'show',
      force,
      shell: textOption(typed, 'shell'),
    };
  },
  run: runSetup,
});

/**
 * Shows the lines, writes or removes them, and says what was done to which file. What was edited by hand is shown, as a
 * difference, and refused.
 */
export async function runSetup(context: Context, options: SetupOptions): Promise<void> {
  const client = await context.clientContext();
  const { paths } = client;
  const where = { env: context.env, paths, shell: options.shell };
  const name = blockName(options.tool.name, paths);
  const edit =
    options.action === 'remove' ? toRemove(where, options, name) : await toWrite(context, where, options);
  const { place, lines } = edit;
  const view = viewBlock(place, name, lines);
  const isRefused = view.state === 'edited' && options.action !== 'show' && !options.force;
  const isChange = lines === undefined ? view.state !== 'absent' : view.state !== 'current';
  if (options.action !== 'show' && !isRefused) {
    if (lines === undefined) await removeBlock(paths, place, name, options);
    else await writeBlock(paths, place, name, lines, options);
    const follows = lines === undefined ? undefined : options.tool.follows;
    if (options.tool.follows !== undefined && existsSync(paths.toolsDir)) {
      const block = follows === undefined ? undefined : { ...place, follows };
      await withHoldLock(client, () => noteFollowingBlock(paths, name, block));
    }
  }
  if (options.tool.usesAgent === true && options.action !== 'show' && !isRefused)
    await withHoldLock(client, () => loadIntoAgent(client, options.agent));
  const isDone = options.action !== 'show' && isChange && !isRefused;
  await writeResult(
    context.io,
    context.format,
    setupResult({ tool: options.tool.name, name, comment: place.comment, view, lines, isDone }),
  );
  if (isRefused) throw editedByHand(view, name);
  if (context.format === 'table' && lines !== undefined) {
    const next =
      options.action === 'show' && isChange
        ? `oncall setup ${options.tool.name} --write${options.shell === undefined ? '' : ` --shell ${options.shell}`}`
        : options.tool.usage;
    await writeHint(context.io, next);
  }
}

interface Edit {
  readonly place: BlockPlace;
  /** Undefined: none. */
  readonly lines: readonly string[] | undefined;
}

async function toWrite(context: Context, where: SetupPlace, { tool, action }: SetupOptions): Promise<Edit> {
  const { paths } = where;
  const place = tool.place(where);
  if (action === 'write') await withHoldLock(await context.clientContext(), () => beginToolFiles(paths));
  return { place, lines: await tool.lines(context, where) };
}

/** From where it was written to, whatever the environment says by now. */
function toRemove(where: SetupPlace, { tool }: SetupOptions, name: string): Edit {
  const written = readFollowingBlocks(where.paths).find((block) => block.name === name);
  const place = written ?? tool.place(where);
  const others = tool.otherPlaces?.(where) ?? [];
  const standing = [place, ...others].find((one) => viewBlock(one, name).state !== 'absent');
  return { place: standing ?? place, lines: undefined };
}
