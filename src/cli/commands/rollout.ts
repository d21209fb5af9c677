import { getRollout } from '../../client/break-glass-calls.ts';
import type { RolloutRow } from '../../protocol/messages.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { type Line, writeResult } from '../io.ts';
import { tableLines } from '../table.ts';

export const rolloutCommand = defineCommand<object>({
  json: ['rollout'],
  examples: [
    ['oncall rollout', 'each resource, its phase, and what it lacks for the next one'],
    ['oncall rollout --json', 'the same for a dashboard'],
  ],
  declare: () => {},
  read: () => ({}),
  run: (context) => runRollout(context),
});

async function runRollout(context: Context): Promise<void> {
  const { rows } = await getRollout(await context.broker());
  await writeResult(context.io, context.format, {
    command: 'rollout',
    data: { rows },
    lines: () => rolloutLines(rows),
  });
}

/** A row for each thing that a resource lacks, the fix beside it; what its own phase already wants comes first. */
function rolloutLines(rows: readonly RolloutRow[]): Line[] {
  if (rows.length === 0) return ['the catalogue has no resource'];
  return tableLines(rows.flatMap(entriesOf), [
    { header: 'RESOURCE', cell: ({ resource }) => ({ text: resource, style: 'bold' }) },
    { header: 'PHASE', cell: ({ phase }) => String(phase) },
    { header: 'NEXT', cell: ({ next }) => String(next ?? '-') },
    {
      header: 'MISSING',
      cell: ({ isBroken, message }) => (isBroken ? { text: message, style: 'red' } : message),
    },
    { header: 'FIX', cell: ({ fix }) => ({ text: fix, style: 'dim' }) },
  ]);
}

function entriesOf({ resource, phase, next, broken, missing }: RolloutRow) {
  const gaps = [
    ...broken.map(({ message, fix }) => ({ message: `for phase ${phase}: ${message}`, fix, isBroken: true })),
    ...missing.map((gap) => ({ ...gap, isBroken: false })),
  ];
  const nothing = { message: 'nothing', fix: '-', isBroken: false };
  return (gaps.length === 0 ? [nothing] : gaps).map((gap) => ({ resource, phase, next, ...gap }));
}
