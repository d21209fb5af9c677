import { resolveIncident } from '../../client/calls.ts';
import { defineCommand, firstArgument, INCIDENTS } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { readIncidentRef } from '../read-incident.ts';
import { incidentLine } from '../views/incidents.ts';

export interface IncidentResolveOptions {
  readonly id: string;
}

export const incidentResolveCommand = defineCommand<IncidentResolveOptions>({
  json: ['incident.resolve'],
  examples: [
    ['oncall incident resolve P1-123', 'it is over: what was opened for it ends after the grace period'],
    ["oncall incident resolve '#4711'", 'by the number that the pager shows'],
  ],
  declare: (command) => void command.argument('<id>', 'the incident'),
  completes: { id: INCIDENTS },
  read: (typed) => ({ id: readIncidentRef(firstArgument(typed, 'id')) }),
  run: runIncidentResolve,
});

export async function runIncidentResolve(context: Context, { id }: IncidentResolveOptions): Promise<void> {
  const incident = await resolveIncident(await context.broker(), id);
  await writeResult(context.io, context.format, {
    command: 'incident.resolve',
    data: { incident },
    lines: () => [incidentLine(incident, context.now())],
  });
}
