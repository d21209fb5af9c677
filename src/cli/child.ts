import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { AppError } from '../protocol/errors.ts';
import type { Context } from './context.ts';
import { StatusError } from './failure.ts';
import type { Environment } from './io.ts';

export interface ChildCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env: Environment;
}

/**
 * Runs a program on our own streams and returns its exit code, or 128 + n where a signal ended it. While it runs, signals
 * are its business: what a terminal sends goes to the whole foreground group, so Ctrl-C and Ctrl-\ are passed on only
 * where there is no terminal. Throws StatusError 127 where the program is not found, 126 where it can't be started.
 */
export async function runChild(context: Context, { program, args, env }: ChildCommand): Promise<number> {
  context.signals.aborted.throwIfAborted();
  const child = spawn(program, args, { env: { ...env }, stdio: 'inherit' });
  const giveBack = context.signals.take((signal) => {
    const fromTerminal = (signal === 'SIGINT' || signal === 'SIGQUIT') && context.io.stdin.isTerminal;
    if (!fromTerminal) child.kill(signal);
  });
  try {
    return await new Promise<number>((resolve, reject) => {
      child.once('error', (error: NodeJS.ErrnoException) => reject(startFailure(program, error)));
      child.once('exit', (code, signal) =>
        resolve(code ?? 128 + (signal === null ? 0 : constants.signals[signal])),
      );
    });
  } finally {
    giveBack();
  }
}

function startFailure(program: string, cause: NodeJS.ErrnoException): StatusError {
  if (cause.code === 'ENOENT') {
    return new StatusError(
      127,
      new AppError('not_found', `${program}: command not found`, {
        hint: 'install it, or name another program behind --',
        cause,
      }),
    );
  }
  const message = `${program}: cannot be started (${cause.code ?? 'unknown reason'})`;
  return new StatusError(126, new AppError('unsafe_file', message, { hint: `ls -l ${program}`, cause }));
}
