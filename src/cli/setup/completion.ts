/**
 * Completion, loaded by each shell in its own way from the scripts in the package, so that what it offers is always of the version
 * that is installed. bash and fish look in a folder of the person's own when the command is first completed; zsh and PowerShell have
 * to be told when they start, and so has bash where bash-completion is missing, which is what looks in that folder.
 */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { BlockPlace } from '../../client/own-block.ts';
import type { Environment } from '../../client/paths.ts';
import { AppError } from '../../protocol/errors.ts';
import {
  COMPLETION_SHELLS,
  type CompletionShell,
  completionFile,
  isCompletionShell,
} from '../completion-script.ts';
import { absolutePath, homeFile } from './home.ts';
import { startFileOf } from './shells.ts';
import type { SetupPlace, SetupTool } from './tool.ts';

/** Where packages of bash-completion put what loads completions; one of them is enough. */
const LOADERS = ['/usr/share', '/usr/local/share', '/opt/homebrew/share', '/opt/local/share'].map(
  (share) => `${share}/bash-completion/bash_completion`,
);

export const COMPLETION_TOOL: SetupTool = {
  name: 'completion',
  summary: 'bash, zsh, fish and PowerShell: commands, options and names on Tab',
  place: (where) =>
    placeOf(
      completionShell(where),
      where.env,
      LOADERS.some((path) => existsSync(path)),
    ),
  otherPlaces: (where) =>
    completionShell(where) === 'bash'
      ? [true, false].map((hasLoader) => placeOf('bash', where.env, hasLoader))
      : [],
  lines: async ({ completionsDir }, where) => {
    const shell = completionShell(where);
    return LINES[shell](requirePlain(completionFile(completionsDir, shell)), requirePlain(completionsDir));
  },
  usage: 'open a new shell, then: oncall request <Tab>',
};

/** The file for a shell; `hasLoader`: bash-completion is there. */
export function placeOf(shell: CompletionShell, env: Environment, hasLoader: boolean): BlockPlace {
  return { file: fileOf(shell, env, hasLoader), comment: '#', at: 'end', mode: 0o644 };
}

function fileOf(shell: CompletionShell, env: Environment, hasLoader: boolean): string {
  if (shell === 'bash' && hasLoader) {
    // May be several, of which the first counts.
    const named = absolutePath(env.BASH_COMPLETION_USER_DIR?.split(':')[0]);
    const data = absolutePath(env.XDG_DATA_HOME) ?? homeFile(env, '.local/share');
    const file = join(named ?? join(data, 'bash-completion'), 'completions', 'oncall');
    // bash-completion finds nothing below a folder that it would have to quote.
    if (!/[\s*?[\]]/.test(file)) return file;
  }
  if (shell === 'fish') return join(startFileOf('fish', env), '..', 'completions', 'oncall.fish');
  if (shell !== 'powershell') return startFileOf(shell, env);
  const name = 'profile.ps1';
  if (env.OS === 'Windows_NT') return homeFile(env, 'Documents', 'PowerShell', name);
  const config = absolutePath(env.XDG_CONFIG_HOME);
  return config === undefined ? homeFile(env, '.config/powershell', name) : join(config, 'powershell', name);
}

/** Of the shells here there is one more than setup knows otherwise. Throws AppError `usage`. */
function completionShell({ env, shell }: SetupPlace): CompletionShell {
  const typed = shell ?? (basename(env.SHELL ?? '') || (env.PSModulePath === undefined ? '' : 'powershell'));
  const name = typed === 'pwsh' ? 'powershell' : typed;
  if (isCompletionShell(name)) return name;
  throw new AppError('usage', name === '' ? 'no shell is named' : `nothing is known of this shell: ${name}`, {
    hint: `add --shell with one of: ${Object.keys(COMPLETION_SHELLS).join(', ')}`,
  });
}

/** Nothing happens, and nothing is complained of, where the package has moved. */
const LINES: Readonly<Record<CompletionShell, (file: string, folder: string) => readonly string[]>> = {
  bash: (file) => [`if [ -r ${posix(file)} ]; then . ${posix(file)}; fi`],
  zsh: (file, folder) => [
    `if [[ -r ${posix(file)} ]]; then`,
    '  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit -i }',
    `  (( $fpath[(Ie)${posix(folder)}] )) || fpath=(${posix(folder)} $fpath)`,
    '  autoload -Uz _oncall && compdef _oncall oncall',
    'fi',
  ],
  fish: (file) => {
    const quoted = `'${file.replace(/[\\']/g, '\\$&')}'`;
    return [`test -r ${quoted}; and source ${quoted}`];
  },
  powershell: (file) => {
    const quoted = `'${file.replace(/['\u2018\u2019\u201a\u201b]/g, '$&$&')}'`;
    return [`if (Test-Path -LiteralPath ${quoted}) { . ${quoted} }`];
  },
};

function posix(path: string): string {
  return `'${path.replaceAll("'", "'\\''")}'`;
}

function requirePlain(path: string): string {
  if (!/[\u0000-\u001f\u007f]/.test(path)) return path;
  throw new AppError('unsafe_file', 'a shell cannot read a path with control characters', {
    hint: 'install oncall in a folder without them',
  });
}
