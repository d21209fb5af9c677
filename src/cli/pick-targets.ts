import { listResources } from '../client/calls.ts';
import { AppError } from '../protocol/errors.ts';
import { formatTarget } from '../protocol/names.ts';
import { readTarget, type TypedTarget } from './command.ts';
import type { Context } from './context.ts';
import { canAsk, chooseSome } from './prompt.ts';

/** What a person picks, bundles first. Where nobody can, the bundle of ONCALL_INCIDENT; else throws AppError `usage`. */
export async function pickTargets(context: Context): Promise<TypedTarget[]> {
  if (!canAsk(context.io)) {
    // Nobody picks here: the bundle of that incident.
    if (context.env.ONCALL_INCIDENT) return [];
    throw new AppError('usage', 'no target is named', {
      hint: 'oncall resources lists what can be asked for; -i with an incident alone opens its bundle',
    });
  }
  const { resources, bundles = [] } = await listResources(await context.broker());
  const wholes = bundles.map(({ name, targets, description }) => ({
    label: `${name}  bundle: ${description ?? targets.map(formatTarget).join(' ')}`,
    value: name,
  }));
  const singles = resources.flatMap(({ name, roles, kind, environment, description }) =>
    roles.map((role) => ({
      label: `${name}:${role}  ${kind} ${environment}${description === null ? '' : `  ${description}`}`,
      value: `${name}:${role}`,
    })),
  );
  const choices = [...wholes, ...singles];
  if (choices.length === 0)
    throw new AppError('not_found', 'the catalogue has no resource that you may see', {
      hint: 'ask whoever runs the broker: oncall whoami shows who you are to it',
    });
  return (await chooseSome(context.io, 'which access do you need?', choices)).map(readTarget);
}
