/** The pages that need no command loaded. A command's own page comes from commander. */
import { type CommandEntry, sections } from './command-table.ts';

export function rootHelp(): string {
  const widest = Math.max(...sections.flatMap(({ commands }) => commands.map(({ name }) => name.length)));
  return `On-call access in seconds, and gone by itself.

Usage: oncall <command> [options]

${sections.map(({ title, commands }) => `${title}\n${entryLines(commands, widest)}`).join('\n\n')}

Options of every command
  -o, --output <format>  table, json or ndjson
  --json                 short for -o json
  --profile <name>       which installation (ONCALL_PROFILE)
  --no-agent             neither use nor start the background agent (ONCALL_AGENT=off)
  -h, --help             more about a command
  -V, --version          the version

Exit codes
  0 done · 1 failure · 2 wrong usage · 3 denied · 4 not enrolled · 5 broker unreachable · 6 expired, ended or
  revoked · 7 refused by the target · 8 approval pending · 9 busy or locked · 130 interrupted
  run: the command's own; 125 oncall itself failed, 126 could not start, 127 not found

Example
  oncall run db-replica -i P1-123 -- psql
`;
}

export function groupHelp(path: readonly string[], { summary, children = [] }: CommandEntry): string {
  const widest = Math.max(...children.map(({ name }) => name.length));
  return `Usage: oncall ${path.join(' ')} <command> [options]

${summary}

Commands
${entryLines(children, widest)}
`;
}

function entryLines(entries: readonly CommandEntry[], widest: number): string {
  return entries
    .map(({ name, summary, aliases }) => {
      const also = aliases === undefined ? '' : ` (also: ${aliases.join(', ')})`;
      return `  ${name.padEnd(widest)}  ${summary}${also}`;
    })
    .join('\n');
}
