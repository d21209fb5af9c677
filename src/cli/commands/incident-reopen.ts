import { reopenIncident } from '../../client/calls.ts';
import { defineCommand, firstArgument } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { readIncidentRef } from '../read-incident.ts';
import { incidentLine } from '../views/incidents.ts';

export interface IncidentReopenOptions {
  readonly id: string;
}

export const incidentReopenCommand = defineCommand<IncidentReopenOptions>({
  json: ['incident.reopen'],
  examples: [
    ['oncall incident reopen P1-123', 'it was closed too early'],
    ["oncall incident reopen '#4711'", 'by the number that the pager shows'],
  ],
  declare: (command) => void command.argument('<id>', 'the incident'),
  read: (typed) => ({ id: readIncidentRef(firstArgument(typed, 'id')) }),
  run: runIncidentReopen,
});

export async function runIncidentReopen(context: Context, { id }: IncidentReopenOptions): Promise<void> {
  const incident = await reopenIncident(await context.broker(), id);
  await writeResult(context.io, context.format, {
    command: 'incident.reopen',
    data: { incident },
    lines: () => [incidentLine(incident, context.now())],
  });
}
