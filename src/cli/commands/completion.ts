import { AppError } from '../../protocol/errors.ts';
import { defineCommand, firstArgument } from '../command.ts';
import {
  COMPLETION_SHELLS,
  type CompletionShell,
  isCompletionShell,
  readCompletionScript,
} from '../completion-script.ts';
import type { Context } from '../context.ts';
import { writeJson } from '../io.ts';

export interface CompletionOptions {
  readonly shell: CompletionShell;
}

const NAMES = Object.keys(COMPLETION_SHELLS);

export const completionCommand = defineCommand<CompletionOptions>({
  json: ['completion'],
  examples: [
    ['oncall completion bash', 'what a start-up file of bash evaluates'],
    ['oncall completion zsh --json', 'the same for a program'],
  ],
  declare: (command) =>
    void command
      .argument('<shell>', NAMES.join(', '))
      .addHelpText('after', '\noncall setup completion has it loaded by each new shell.\n'),
  completes: { shell: { words: NAMES } },
  read: (typed) => {
    const shell = firstArgument(typed, 'shell');
    if (isCompletionShell(shell)) return { shell };
    throw new AppError('usage', `nothing is known of this shell: ${shell}`, {
      hint: `use one of: ${NAMES.join(', ')}`,
    });
  },
  run: runCompletion,
});

/** Needs no configuration: a shell's start-up file may ask before the device is enrolled. fast.ts answers what has no more to it. */
export async function runCompletion(context: Context, { shell }: CompletionOptions): Promise<void> {
  const script = readCompletionScript(context.completionsDir, shell);
  if (context.format === 'table') return context.io.stdout.write(script);
  writeJson(context.io.stdout, context.format, { schema: 'oncall.completion/v1', shell, script });
}
