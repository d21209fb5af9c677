import { isAbsolute, join } from 'node:path';
import type { Environment } from '../../client/paths.ts';
import { AppError } from '../../protocol/errors.ts';

/** A file below the home folder. Throws AppError `config_invalid` where HOME does not say which that is. */
export function homeFile(env: Environment, ...names: string[]): string {
  const home = absolutePath(env.HOME) ?? absolutePath(env.USERPROFILE);
  if (home === undefined) {
    throw new AppError('config_invalid', 'no home folder: HOME is not set', {
      hint: 'export HOME, so that it is known whose files are meant',
    });
  }
  return join(home, ...names);
}

/** What a variable holds, if that is an absolute path: a relative one would depend on where the command was typed. */
export function absolutePath(path: string | undefined): string | undefined {
  return path !== undefined && isAbsolute(path) ? path : undefined;
}
