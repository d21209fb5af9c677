/** What break-glass left at the resources, for those who clean up after it. */
import { AppError } from '../../protocol/errors.ts';
import * as m from '../../protocol/messages.ts';
import { mayReview } from '../reviews.ts';
import { breakGlassState } from '../taints.ts';
import type { RouteContext } from './route-context.ts';

export function registerBreakGlassStateRoutes({ read, store, rules }: RouteContext): void {
  read('/v1/break-glass/resources', { result: m.BreakGlassStates }, (caller) =>
    store.read(async (tx) => {
      const current = rules();
      if (!(await mayReview(tx, current, caller)))
        throw new AppError('forbidden', 'this is for those who review what break-glass opened');
      const { resources } = current.catalogue;
      const listed = [...resources.values()].filter(({ breakGlass }) => breakGlass !== undefined);
      // One that has left the catalogue may still have to be cleaned up.
      const left = (await tx.breakGlassEpochs()).filter(
        ({ resource, taintedAt }) => taintedAt !== null && resources.get(resource)?.breakGlass === undefined,
      );
      const states: m.BreakGlassState[] = [];
      for (const { id } of listed) states.push(await breakGlassState(tx, await tx.breakGlassEpoch(id)));
      for (const row of left) states.push(await breakGlassState(tx, row));
      return { resources: states };
    }),
  );
}
