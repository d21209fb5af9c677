/** The shells that have a start-up file of ours to say something in. */
import { basename } from 'node:path';
import type { Environment } from '../../client/paths.ts';
import { AppError } from '../../protocol/errors.ts';
import { absolutePath, homeFile } from './home.ts';
import type { SetupPlace } from './tool.ts';

export type Shell = 'bash' | 'zsh' | 'fish';

const FILES: Readonly<Record<Shell, (env: Environment) => string>> = {
  bash: (env) => homeFile(env, '.bashrc'),
  zsh: (env) => homeFile(absolutePath(env.ZDOTDIR) === undefined ? env : { HOME: env.ZDOTDIR }, '.zshrc'),
  fish: (env) => {
    const config = absolutePath(env.XDG_CONFIG_HOME);
    const names = ['fish', 'config.fish'];
    return config === undefined ? homeFile(env, '.config', ...names) : homeFile({ HOME: config }, ...names);
  },
};

/** The one that was named, else the person's. Throws AppError `usage` where there is none that we know. */
export function shellOf({ env, shell }: SetupPlace): Shell {
  const name = shell ?? basename(env.SHELL ?? '');
  const found = (Object.keys(FILES) as Shell[]).find((known) => known === name);
  if (found !== undefined) return found;
  throw new AppError('usage', name === '' ? 'no shell is named' : `nothing is known of this shell: ${name}`, {
    hint: `add --shell with one of: ${Object.keys(FILES).join(', ')}`,
  });
}

/** What it reads when it starts for a person. */
export function startFile(where: SetupPlace): string {
  return startFileOf(shellOf(where), where.env);
}

export function startFileOf(shell: Shell, env: Environment): string {
  return FILES[shell](env);
}
