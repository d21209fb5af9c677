/** Break-glass while the broker is there, and how far resources are on their way to it. */
import { AppError } from '../../protocol/errors.ts';
import * as m from '../../protocol/messages.ts';
import { possibleFor } from '../break-glass-decision.ts';
import { requirePermission } from '../permissions.ts';
import { readDrills, rolloutOf } from '../phases.ts';
import { viewRequest } from '../views.ts';
import type { RouteContext } from './route-context.ts';

export function registerBreakGlassRoutes(context: RouteContext): void {
  const { read, change, store, rules, breakGlass, metrics } = context;

  change(
    '/v1/break-glass',
    { body: m.AskBreakGlass, result: m.RequestView },
    (tx, caller, body) => breakGlass.ask(tx, caller, body),
    {
      async result(tx, id) {
        const request = await tx.request(id);
        if (!request) throw new AppError('not_found', `there is no request '${id}'`);
        return viewRequest(tx, rules(), request);
      },
      done: ({ state }) => metrics.decisions.inc({ effect: state }),
    },
  );

  read('/v1/rollout', { result: m.Rollout }, (caller) =>
    store.read(async (tx) => {
      await requirePermission(rules(), caller, tx, 'read-audit');
      return { rows: rolloutOf(rules(), await readDrills(tx, rules().catalogue), await tx.now()) };
    }),
  );

  read('/v1/break-glass', { result: m.BreakGlassOptions }, async ({ person, device }) => {
    const possible = possibleFor(rules(), { user: person.id, device, nowMs: await store.now() });
    return {
      options: possible.map(
        ({ resource, breakGlass: { windowSeconds, maxWindowSeconds, twoPerson }, roles }) => ({
          ...{ resource: resource.id, roles, description: resource.description ?? null },
          ...{ windowSeconds, maxWindowSeconds, twoPerson, canary: resource.canary },
        }),
      ),
    };
  });
}
