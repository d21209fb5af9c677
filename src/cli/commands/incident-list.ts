import { listIncidents } from '../../client/calls.ts';
import { noteNames } from '../../client/completion-names.ts';
import { incidentNames } from '../../client/listed-names.ts';
import { defineCommand, flagOption } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { incidentTable } from '../views/incidents.ts';

export interface IncidentListOptions {
  readonly all: boolean;
}

export const incidentListCommand = defineCommand<IncidentListOptions>({
  json: ['incident.list'],
  examples: [
    ['oncall incident list', 'what is burning'],
    ['oncall incident list --all --json', 'resolved ones too, for a script'],
  ],
  declare: (command) => void command.option('--all', 'resolved ones too'),
  read: (typed) => ({ all: flagOption(typed, 'all') }),
  run: runIncidentList,
});

export async function runIncidentList(context: Context, { all }: IncidentListOptions): Promise<void> {
  const { incidents } = await listIncidents(await context.broker(), { openOnly: !all });
  const open = incidents.filter(({ state }) => state === 'open');
  await noteNames((await context.clientContext()).paths, incidentNames(open));
  await writeResult(context.io, context.format, {
    command: 'incident.list',
    data: { incidents },
    lines: () => (incidents.length === 0 ? ['no open incident'] : incidentTable(incidents, context.now())),
  });
}
