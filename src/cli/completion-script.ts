/** The completion scripts, as they lie in the package. On the way of `oncall completion`: nothing heavy is imported. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** By the name that people type. */
export const COMPLETION_SHELLS = {
  bash: 'oncall.bash',
  zsh: '_oncall',
  fish: 'oncall.fish',
  powershell: 'oncall.ps1',
} as const;

export type CompletionShell = keyof typeof COMPLETION_SHELLS;

export function isCompletionShell(name: string): name is CompletionShell {
  return Object.hasOwn(COMPLETION_SHELLS, name);
}

export function completionFile(folder: string, shell: CompletionShell): string {
  return join(folder, COMPLETION_SHELLS[shell]);
}

/** Throws where the package is not whole. */
export function readCompletionScript(folder: string, shell: CompletionShell): string {
  return readFileSync(completionFile(folder, shell), 'utf8');
}
