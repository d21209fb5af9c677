import { declareIncident } from '../../client/calls.ts';
import { AppError } from '../../protocol/errors.ts';
import type { DeclareIncident } from '../../protocol/messages.ts';
import { defineCommand, firstArgument, requiredOption, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { readIncidentId } from '../read-incident.ts';
import { incidentLine } from '../views/incidents.ts';

const PRIORITIES = ['P1', 'P2', 'P3', 'P4', 'P5'] as const;

export const incidentDeclareCommand = defineCommand<DeclareIncident>({
  json: ['incident.declare'],
  examples: [
    [
      "oncall incident declare P1-123 --service orders --priority P1 --title 'checkout fails'",
      'open an incident',
    ],
    ['oncall incident declare DRILL-7 --service orders --priority P4', 'one for practice'],
  ],
  declare: (command) =>
    void command
      .argument('<id>', 'its name, such as P1-123')
      .option('--service <service>', 'the service that it is about')
      .option('--priority <priority>', 'P1 to P5')
      .option('--title <title>', 'what is going on'),
  completes: { '--service': { names: ['services'] }, '--priority': { words: PRIORITIES } },
  read: (typed) => {
    const title = textOption(typed, 'title');
    return {
      id: readIncidentId(firstArgument(typed, 'id')),
      service: requiredOption(typed, 'service', 'orders'),
      priority: readPriority(requiredOption(typed, 'priority', 'P1')),
      ...(title !== undefined && { title }),
    };
  },
  run: runIncidentDeclare,
});

export async function runIncidentDeclare(context: Context, options: DeclareIncident): Promise<void> {
  const incident = await declareIncident(await context.broker(), options);
  await writeResult(context.io, context.format, {
    command: 'incident.declare',
    data: { incident },
    lines: () => [incidentLine(incident, context.now())],
  });
}

function readPriority(text: string): DeclareIncident['priority'] {
  const priority = PRIORITIES.find((name) => name === text.toUpperCase());
  if (priority === undefined)
    throw new AppError('usage', `not a priority: ${text}`, { hint: 'use P1 to P5' });
  return priority;
}
