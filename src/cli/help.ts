/** The pages that are asked for most. A command's own page comes from commander; the others are in help-pages.ts. */
import type { CommandEntry } from './command-table.ts';

/** What `oncall help <topic>` knows; what each is about is in help-topics.ts. */
export const TOPIC_NAMES = [
  'exit-codes',
  'environment',
  'files',
  'scripting',
  'json',
  'break-glass',
  'policy',
  'glossary',
] as const;

/** Words for the page with every command. */
export const ALL_PAGES: readonly string[] = ['all', 'commands'];

export type TopicName = (typeof TOPIC_NAMES)[number];

export function isTopic(word: string): word is TopicName {
  return (TOPIC_NAMES as readonly string[]).includes(word);
}

/** What people do, and where the rest is: at 02:14 nobody reads forty lines. */
export function rootHelp(): string {
  return `On-call access in seconds, and gone by itself.

Usage: oncall <command> [options]

  oncall request db-replica -i P1-123  ask for access
  oncall run db-replica -- psql        use it; or: oncall connect
  oncall status                        what you hold, and for how long
  oncall release db-replica            give it back
  oncall approvals                     what waits for your yes: approve, deny
  oncall explain db-replica:write      why it is granted, asked or denied

For the first time: oncall enroll <invitation>

More
  oncall help all          every command
  oncall help <command>    one command, with two examples
  oncall help <topic>      ${TOPIC_NAMES.slice(0, 5).join(', ')},
                           ${TOPIC_NAMES.slice(5).join(', ')}
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

/** Names in one column, what they are in the next. */
export function entryLines(entries: readonly CommandEntry[], widest: number): string {
  return entries
    .map(({ name, summary, aliases }) => {
      const also = aliases === undefined ? '' : ` (also: ${aliases.join(', ')})`;
      return `  ${name.padEnd(widest)}  ${summary}${also}`;
    })
    .join('\n');
}
