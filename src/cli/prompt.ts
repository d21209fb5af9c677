/**
 * Questions to a person, on stderr, and only where a person is there to answer. inquirer is loaded when the first question
 * is asked. Ctrl-C at a question ends the command as `interrupted`, before it has done anything.
 */
import { AppError } from '../protocol/errors.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import { drawingStream, type Io } from './io.ts';
import { withHint } from './signals.ts';

export interface Choice {
  /** Shown; may come from outside. */
  readonly label: string;
  readonly value: string;
}

export function canAsk(io: Io): boolean {
  // In this order: to know about stdin, it has to be opened.
  return io.stderr.isTerminal && io.stdin.isTerminal;
}

export async function confirm(io: Io, question: string): Promise<boolean> {
  return (await ask(io, { type: 'confirm', message: question, default: false })) === true;
}

const notEmpty = (text: string) => text.trim() !== '' || 'a few words are needed';

/** An answer that `validate` has nothing to say about: one that is not empty, unless told. */
export async function askText(
  io: Io,
  question: string,
  validate: (text: string) => true | string = notEmpty,
): Promise<string> {
  return String(await ask(io, { type: 'input', message: question, validate }));
}

export async function askSecret(io: Io, question: string): Promise<string> {
  return String(await ask(io, { type: 'password', message: question }));
}

/** At least one of the choices. */
export async function chooseSome(io: Io, question: string, choices: readonly Choice[]): Promise<string[]> {
  const answer = await ask(io, {
    type: 'checkbox',
    message: question,
    choices: shown(choices),
    required: true,
  });
  return Array.isArray(answer) ? answer.map(String) : [];
}

export async function chooseOne(io: Io, question: string, choices: readonly Choice[]): Promise<string> {
  return String(await ask(io, { type: 'select', message: question, choices: shown(choices) }));
}

/** What is shown is escaped; what comes back is the value itself. */
function shown(choices: readonly Choice[]): { name: string; value: string }[] {
  return choices.map(({ label, value }) => ({ name: escapeForTerminal(label), value }));
}

type Question = { type: string; message: string } & Record<string, unknown>;

async function ask(io: Io, question: Question): Promise<unknown> {
  const { default: inquirer } = await import('inquirer');
  const output = await drawingStream(io.stderr);
  const prompt = inquirer.createPromptModule({
    ...(io.stdin.stream === undefined ? {} : { input: io.stdin.stream }),
    ...(output === undefined ? {} : { output }),
    ...(io.interrupted === undefined ? {} : { signal: io.interrupted }),
  });
  const message = escapeForTerminal(question.message);
  try {
    const answers: Record<string, unknown> = await prompt([
      { ...question, name: 'answer', message } as never,
    ]);
    return answers.answer;
  } catch (error) {
    if (error instanceof Error && /^(ExitPromptError|AbortPromptError)$/.test(error.name)) {
      const hint = 'nothing was changed';
      if (io.interrupted?.aborted) throw withHint(io.interrupted.reason, hint);
      throw new AppError('interrupted', 'interrupted', { hint, cause: error });
    }
    throw error;
  }
}
