/**
 * The completion scripts: what is the same for every state of the commands is a template beside this file, written in the shell's own
 * language; what the commands say goes into its place in there.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { COMPLETION_SHELLS, type CompletionShell } from '../completion-script.ts';
import { fishTables } from './fish-tables.ts';
import { bashTables, zshTables } from './posix-tables.ts';
import { powershellTables } from './powershell-tables.ts';
import { createTables, type Tables } from './tables.ts';
import { readTree } from './tree.ts';

const TABLES: Readonly<Record<CompletionShell, { template: string; format(tables: Tables): string }>> = {
  bash: { template: 'template.bash', format: bashTables },
  zsh: { template: 'template.zsh', format: zshTables },
  fish: { template: 'template.fish', format: fishTables },
  powershell: { template: 'template.ps1', format: powershellTables },
};

/** By file name. `templates` is the folder of this file. */
export async function generateCompletions(templates: string): Promise<Record<string, string>> {
  const tables = createTables(await readTree());
  return Object.fromEntries(
    Object.entries(COMPLETION_SHELLS).map(([shell, file]) => {
      const { template, format } = TABLES[shell as CompletionShell];
      const text = readFileSync(join(templates, template), 'utf8');
      return [file, text.replace('#{tables}', () => format(tables))];
    }),
  );
}
