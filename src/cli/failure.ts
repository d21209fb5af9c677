import { AppError, ERROR_CODES } from '../protocol/errors.ts';
import { type Environment, type Io, type OutputFormat, writeError, writeJson, writeLines } from './io.ts';
import type { Output } from './outputs.ts';
import { localWords } from './times.ts';

/**
 * The one place where an error becomes words and an exit code. AppErrors carry both; anything else is a bug of ours, whose
 * message may hold anything, so it is shown only as the kind of error it was. ONCALL_DEBUG=1 adds the stack and causes.
 */
export async function reportFailure(
  failure: unknown,
  { io, format, env, now }: { io: Io; format: OutputFormat; env: Environment; now: number },
): Promise<number> {
  const error = asAppError(failure);
  // Loaded where nobody has said more.
  const hint = error.hint ?? (await import('./hints.ts')).HINTS[error.code];
  if (format === 'table') {
    await writeError(io, localWords(error.message, now), localWords(hint, now));
  } else {
    const { code, message, correlationId = null, details } = error;
    const data: Output<'error'> = {
      ...{ code, message, hint, exitCode: exitCodeOf(error), correlationId },
      ...(details !== undefined && { details }),
    };
    writeJson(io.stderr, format, { schema: 'oncall.error/v1', ...data });
  }
  if (env.ONCALL_DEBUG === '1') await writeStack(io, failure);
  return exitCodeOf(error);
}

/**
 * An error that ends with another status than its code says: 125–127 for `run`'s own failures (DESIGN section 10), 128 + n
 * for a signal. The code in the JSON error still says what it was.
 */
export class StatusError extends AppError {
  readonly status: number;

  constructor(status: number, error: AppError) {
    super(error.code, error.message, {
      hint: error.hint,
      cause: error.cause,
      correlationId: error.correlationId,
      details: error.details,
    });
    this.status = status;
  }
}

export function isInterruption(error: unknown): boolean {
  return error instanceof AppError && error.code === 'interrupted';
}

function exitCodeOf(error: AppError): number {
  return error instanceof StatusError ? error.status : ERROR_CODES[error.code];
}

export function asAppError(failure: unknown): AppError {
  if (failure instanceof AppError) return failure;
  const kind = failure instanceof Error ? failure.name : typeof failure;
  return new AppError('internal', `something went wrong inside oncall (${kind})`, {
    hint: 'set ONCALL_DEBUG=1 to see where, and report it',
    cause: failure,
  });
}

async function writeStack(io: Io, failure: unknown): Promise<void> {
  for (let error: unknown = failure; error instanceof Error; error = error.cause) {
    const lines = (error.stack ?? String(error)).split('\n');
    await writeLines(
      io.stderr,
      lines.map((line) => `  ${line}`),
    );
  }
}
