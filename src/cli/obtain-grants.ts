import { askRequest, getStatus, listResources } from '../client/calls.ts';
import { requireWritable } from '../client/files.ts';
import { AppError } from '../protocol/errors.ts';
import type { GrantView } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import type { TypedTarget } from './command.ts';
import { type AskOptions, askFor } from './commands/request.ts';
import type { Context } from './context.ts';
import { findGrant, formatTyped, notHeld, standingGrants } from './held-grants.ts';
import { note } from './io.ts';
import { answered, finalFailure } from './request-flow.ts';
import { bothTimes } from './times.ts';

export interface ObtainOptions extends AskOptions {
  readonly targets: readonly TypedTarget[];
  readonly request: boolean;
  readonly timeoutSeconds: number | undefined;
}

/**
 * A grant that stands for each target and each part of a bundle: what is held or ready is used, what is missing is asked for
 * (and waited for). Throws what a request ends with when it is not granted, and AppError `not_found` where nothing may be
 * asked for.
 */
export async function obtainGrants(context: Context, options: ObtainOptions): Promise<GrantView[]> {
  const standing = await standingGrants(context);
  const wanted = await Promise.all(options.targets.map((typed) => partsOf(context, typed, standing)));
  const missing = wanted.filter(({ parts }) => parts.some((part) => findGrant(part, standing) === undefined));
  const [first] = missing;
  if (first !== undefined && !options.request) throw notHeld(formatTyped(first.typed));
  const granted = missing.length === 0 ? [] : await ask(context, missing, options);
  const grants = wanted.flatMap(({ parts }) =>
    parts.flatMap((part) => findGrant(part, standing) ?? findGrant(part, granted) ?? []),
  );
  return [...new Map(grants.map((grant) => [grant.id, grant])).values()];
}

interface Wanted {
  readonly typed: TypedTarget;
  readonly parts: readonly TypedTarget[];
}

/** What a typed word stands for: itself, or the parts of the bundle that it names. */
async function partsOf(
  context: Context,
  typed: TypedTarget,
  standing: readonly GrantView[],
): Promise<Wanted> {
  if (typed.role !== undefined || findGrant(typed, standing) !== undefined) return { typed, parts: [typed] };
  // An older broker has no bundles.
  const { bundles = [] } = await listResources(await context.broker());
  return { typed, parts: bundles.find(({ name }) => name === typed.resource)?.targets ?? [typed] };
}

async function ask(
  context: Context,
  missing: readonly Wanted[],
  options: ObtainOptions,
): Promise<GrantView[]> {
  const broker = await context.broker();
  const { paths } = await context.clientContext();
  requireWritable(paths.stateDir, paths.runDir);
  const targets = missing.map(({ typed }) => typed);
  const message = askFor(context, targets, options);
  const incident = message.incident ?? (await onlyFittingIncident(context, missing));
  const first = await askRequest(broker, { ...message, ...(incident !== undefined && { incident }) });
  const request = await answered(context, first, { timeoutSeconds: options.timeoutSeconds });
  const failure = await finalFailure(context, request);
  if (failure !== undefined) throw failure;
  for (const grant of request.grants) {
    await note(
      context.io,
      `${formatTarget(grant.target)} until ${bothTimes(grant.endsAt, context.now())}  ${grant.id}`,
    );
  }
  return request.grants;
}

/** While on call: the only open incident of the service that the targets belong to. */
async function onlyFittingIncident(
  context: Context,
  missing: readonly Wanted[],
): Promise<string | undefined> {
  const broker = await context.broker();
  const { me, incidents } = await getStatus(broker);
  if (me.shifts.length === 0 || incidents.length === 0) return undefined;
  const { resources } = await listResources(broker);
  const parts = missing.flatMap(({ parts }) => parts);
  const services = parts.map(({ resource }) => resources.find(({ name }) => name === resource)?.service);
  const fitting = incidents.filter(({ service, state }) => state === 'open' && services.includes(service));
  const [incident] = fitting;
  if (incident === undefined) return undefined;
  if (fitting.length > 1) {
    throw new AppError('ambiguous', `${fitting.length} open incidents fit`, {
      hint: `add -i with one of: ${fitting.map(({ id }) => id).join(', ')}`,
    });
  }
  await note(context.io, `for incident ${incident.id}`);
  return incident.id;
}
