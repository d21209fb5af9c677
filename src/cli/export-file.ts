/** A file that `oncall audit export` wrote, line by line. */
import { createReadStream } from 'node:fs';
import { dirname } from 'node:path';
import { readLines } from '../audit/export.ts';
import { AppError, isAppError } from '../protocol/errors.ts';

/** Throws `not_found`, `unsafe_file`, and `audit_invalid` for what is no text of an export. */
export async function* linesOf(file: string): AsyncGenerator<string> {
  try {
    yield* readLines(createReadStream(file));
  } catch (error) {
    throw isAppError(error) ? error : unreadable(file, error);
  }
}

export function unreadable(file: string, cause: unknown): AppError {
  const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
  if (missing)
    return new AppError('not_found', `there is no ${file}`, { hint: `ls ${dirname(file)}`, cause });
  return new AppError('unsafe_file', `${file} cannot be read`, { hint: `ls -l ${file}`, cause });
}
