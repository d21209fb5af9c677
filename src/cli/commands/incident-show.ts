import { getIncident } from '../../client/calls.ts';
import { defineCommand, firstArgument, INCIDENTS } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { readIncidentRef } from '../read-incident.ts';
import { incidentTable } from '../views/incidents.ts';

export interface IncidentShowOptions {
  readonly id: string;
}

export const incidentShowCommand = defineCommand<IncidentShowOptions>({
  json: ['incident.show'],
  examples: [
    ['oncall incident show P1-123', 'one incident'],
    ['oncall incident show P1-123 --json', 'the same for a script'],
  ],
  declare: (command) => void command.argument('<id>', 'the incident'),
  completes: { id: INCIDENTS },
  read: (typed) => ({ id: readIncidentRef(firstArgument(typed, 'id')) }),
  run: runIncidentShow,
});

export async function runIncidentShow(context: Context, { id }: IncidentShowOptions): Promise<void> {
  const incident = await getIncident(await context.broker(), id);
  await writeResult(context.io, context.format, {
    command: 'incident.show',
    data: { incident },
    lines: () => incidentTable([incident], context.now()),
  });
}
