import { listResources } from '../../client/calls.ts';
import { noteNames } from '../../client/completion-names.ts';
import { catalogueNames } from '../../client/listed-names.ts';
import { formatDuration } from '../../protocol/durations.ts';
import type { BundleView, ResourceView } from '../../protocol/messages.ts';
import { formatTarget } from '../../protocol/names.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { type Line, type Piece, writeResult } from '../io.ts';
import { tableLines } from '../table.ts';
import { bothTimes } from '../times.ts';

export const resourcesCommand = defineCommand<object>({
  json: ['resources'],
  examples: [
    ['oncall resources', 'what can be asked for; the role with a star is meant where none is typed'],
    ['oncall resources --json', 'the same for a script'],
  ],
  declare: () => {},
  read: () => ({}),
  run: runResources,
});

export async function runResources(context: Context): Promise<void> {
  // An older broker has no bundles.
  const { resources, bundles = [] } = await listResources(await context.broker());
  await noteNames((await context.clientContext()).paths, catalogueNames({ resources, bundles }));
  await writeResult(context.io, context.format, {
    command: 'resources',
    data: { resources, bundles },
    lines: () => [...resourceLines(resources, context.now()), ...bundleLines(bundles)],
  });
}

function resourceLines(resources: readonly ResourceView[], now: number): Line[] {
  return tableLines(resources, [
    { header: 'RESOURCE', cell: ({ name }) => ({ text: name, style: 'bold' }) },
    { header: 'KIND', cell: ({ kind }) => kind },
    { header: 'ENVIRONMENT', cell: ({ environment }) => environment },
    { header: 'SERVICE', cell: ({ service }) => service },
    { header: 'ROLES', cell: ({ roles, defaultRole }) => rolesText(roles, defaultRole) },
    {
      header: 'SESSION',
      cell: ({ session }) =>
        `${formatDuration(session.defaultSeconds)}, at most ${formatDuration(session.maxSeconds)}`,
    },
    // An older broker says nothing of it.
    ...(resources.some(({ taintedAt }) => taintedAt)
      ? [
          {
            header: 'TAINTED BY BREAK-GLASS',
            cell: ({ taintedAt }: ResourceView): Piece =>
              taintedAt ? { text: `since ${bothTimes(taintedAt, now)}`, style: 'red' } : '-',
          },
        ]
      : []),
    { header: 'DESCRIPTION', cell: ({ description }) => description ?? '-' },
  ]);
}

function bundleLines(bundles: readonly BundleView[]): Line[] {
  if (bundles.length === 0) return [];
  const table = tableLines(bundles, [
    { header: 'BUNDLE', cell: ({ name }) => ({ text: name, style: 'bold' }) },
    { header: 'OPENS', cell: ({ targets }) => targets.map(formatTarget).join(' ') },
    { header: 'DESCRIPTION', cell: ({ description }) => description ?? '-' },
  ]);
  return ['', ...table];
}

/** The role that is meant where none is typed carries a star. */
function rolesText(roles: readonly string[], defaultRole: string): string {
  return roles.map((role) => (role === defaultRole ? `${role}*` : role)).join(' ');
}
