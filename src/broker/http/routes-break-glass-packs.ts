/** Break-glass packs: what a device should have, what it gets, and that it has it. */
import { Type } from '@sinclair/typebox';
import * as m from '../../protocol/messages.ts';
import { viewPack } from '../packs/packs.ts';
import { askPermission, requirePermission } from '../permissions.ts';
import { breakGlassState } from '../taints.ts';
import { Empty, LIST, type RouteContext } from './route-context.ts';

export function registerPackRoutes({ read, change, store, rules, packs }: RouteContext): void {
  read('/v1/break-glass/plan', { result: m.PackPlan }, (caller) =>
    store.read((tx) => packs.plan(tx, caller)),
  );

  const AllQuery = Type.Object(
    { all: Type.Optional(Type.Unsafe<string>({ type: 'string', enum: ['true', 'false'] })) },
    { additionalProperties: false },
  );
  read('/v1/break-glass/packs', { result: m.PackList, query: AllQuery }, (caller, { query }) =>
    store.read(async (tx) => {
      const isAll = query.all === 'true';
      if (isAll && !(await askPermission(rules(), caller, tx, 'review')).allowed)
        await requirePermission(rules(), caller, tx, 'manage-device');
      const rows = await tx.packs({ ...(!isAll && { user: caller.person.id }), limit: LIST });
      return { packs: rows.map(viewPack) };
    }),
  );

  change(
    '/v1/break-glass/packs',
    { body: m.RequestPack, result: m.Pack },
    (tx, caller, body) => packs.issue(tx, caller, body),
    {
      // Signed when what it is about is in the store for good.
      settle: async () => undefined,
      result: (tx, id, caller, body) => packs.seal(tx, caller, id, body.material),
    },
  );

  change(
    '/v1/break-glass/packs/:id/confirm',
    { body: Empty, result: m.PackView },
    (tx, caller, _body, { params }) => packs.confirm(tx, caller, params.id ?? ''),
    { result: (tx, id, caller) => packs.view(tx, caller, id) },
  );

  change(
    '/v1/break-glass/rotate',
    { body: m.RotateBreakGlass, result: m.BreakGlassState },
    (tx, caller, { resource }) => packs.rotate(tx, caller, resource),
    { result: async (tx, resource) => breakGlassState(tx, await tx.breakGlassEpoch(resource)) },
  );
}
