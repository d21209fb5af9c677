/** Who I am, my devices, the catalogue, incidents. */
import { Type } from '@sinclair/typebox';
import { AppError } from '../../protocol/errors.ts';
import * as m from '../../protocol/messages.ts';
import { Name } from '../../protocol/schema.ts';
import type { ReadTx } from '../../store/store.ts';
import { actorOf } from '../caller.ts';
import { findIncident } from '../incident-refs.ts';
import { requirePermission } from '../permissions.ts';
import { viewReview } from '../reviews.ts';
import { taintedStates } from '../taints.ts';
import {
  viewBundles,
  viewDevice,
  viewGrant,
  viewIncident,
  viewMe,
  viewRequest,
  viewResources,
} from '../views.ts';
import { warningsFor } from '../warnings.ts';
import { Empty, LIST, type RouteContext } from './route-context.ts';

/** An invitation for one's own next device. */
const OWN_DEVICE_SECONDS = 600;

export function registerPeopleRoutes(context: RouteContext): void {
  const { read, change, store, rules, devices, approvals, incidents, reviews, journals, outbox } = context;
  const { endpoints, packWatch } = context;

  read('/v1/me', { result: m.Me }, (caller) =>
    store.read((tx) => viewMe(tx, rules(), caller.person, caller.device)),
  );

  read('/v1/status', { result: m.StatusReply }, (caller) =>
    store.read(async (tx) => {
      const current = rules();
      const user = caller.person.id;
      const grants = await tx.grants({ user, states: ['ready', 'active'], limit: LIST });
      const pending = await tx.requests({ user, state: 'pending', limit: LIST });
      const open = await tx.incidents({ state: 'open', limit: LIST });
      const waiting = await approvals.waitingFor(tx, user);
      return {
        me: await viewMe(tx, current, caller.person, caller.device),
        grants: await Promise.all(grants.map((grant) => viewGrant(tx, current, grant))),
        pending: await Promise.all(pending.map((request) => viewRequest(tx, current, request))),
        incidents: open.map(viewIncident),
        approvals: await Promise.all(waiting.map((request) => viewRequest(tx, current, request))),
        reviews: await Promise.all((await reviews.concerning(tx, user)).map((row) => viewReview(tx, row))),
        warnings: [
          ...(await packWatch.warnings(tx, caller)),
          ...(await warningsFor(tx, current, outbox, caller)),
        ],
        endpoints: [...endpoints],
      };
    }),
  );

  read('/v1/resources', { result: m.ResourceList }, () =>
    store.read(async (tx) => ({
      resources: viewResources(rules().catalogue, await taintedStates(tx)),
      bundles: viewBundles(rules().catalogue),
    })),
  );

  const UserQuery = Type.Object({ user: Type.Optional(Name) }, { additionalProperties: false });
  read('/v1/devices', { result: m.DeviceList, query: UserQuery }, (caller, { query }) =>
    store.read(async (tx) => {
      const user = query.user ?? caller.person.id;
      if (user !== caller.person.id) await requirePermission(rules(), caller, tx, 'manage-device', { user });
      return { devices: (await tx.devicesOf(user)).map((row) => viewDevice(row, caller.device.id)) };
    }),
  );

  change(
    '/v1/devices/invite',
    { body: Empty, result: m.InviteReply },
    async (tx, caller) => {
      const by = { actor: actorOf(caller), embedded: caller.embedded };
      const { reply, audit } = await devices.invite(tx, by, caller.person.id, OWN_DEVICE_SECONDS);
      return { ref: '', audit, reply };
    },
    {
      // The code is kept only as a hash: if the first reply was lost, so is the code.
      async result(_tx, _ref, _caller, _body, done) {
        if (!done)
          throw new AppError('conflict', 'the code was shown already', { hint: 'oncall devices add' });
        return done.reply;
      },
    },
  );

  change(
    '/v1/devices/:id/revoke',
    { body: Empty, result: m.DeviceView, takesAway: true },
    async (tx, caller, _body, { params }) => {
      const device = await tx.device(params.id ?? '');
      const isOwn = device?.user === caller.person.id;
      if (device && !isOwn)
        await requirePermission(rules(), caller, tx, 'manage-device', { user: device.user });
      if (device?.state !== 'active') {
        throw new AppError('not_found', `there is no active device '${params.id}'`, {
          hint: 'oncall devices list',
        });
      }
      const audit = await devices.revoke(tx, { actor: actorOf(caller), embedded: caller.embedded }, device);
      await journals.deviceRevoked(tx, device.id);
      return { ref: device.id, audit };
    },
    {
      async result(tx, ref, caller) {
        const device = await tx.device(ref);
        if (!device)
          throw new AppError('not_found', `there is no device '${ref}'`, {
            hint: 'oncall devices list shows those you have',
          });
        return viewDevice(device, caller.device.id);
      },
    },
  );

  const showIncident = async (tx: ReadTx, id: string) => viewIncident(await findIncident(tx, id));

  const StateQuery = Type.Object(
    {
      state: Type.Optional(Type.Unsafe<'open' | 'resolved'>({ type: 'string', enum: ['open', 'resolved'] })),
    },
    { additionalProperties: false },
  );
  read('/v1/incidents', { result: m.IncidentList, query: StateQuery }, (_caller, { query }) =>
    store.read(async (tx) => {
      const state = query.state as 'open' | 'resolved' | undefined;
      return { incidents: (await tx.incidents({ ...(state && { state }), limit: LIST })).map(viewIncident) };
    }),
  );

  read('/v1/incidents/:id', { result: m.IncidentView }, (_caller, { params }) =>
    store.read((tx) => showIncident(tx, params.id ?? '')),
  );

  change(
    '/v1/incidents',
    { body: m.DeclareIncident, result: m.IncidentView },
    async (tx, caller, body) => {
      await requirePermission(rules(), caller, tx, 'declare-incident');
      return incidents.declare(tx, caller, body);
    },
    { result: showIncident },
  );

  change(
    '/v1/incidents/:id/resolve',
    { body: Empty, result: m.IncidentView, takesAway: true },
    async (tx, caller, _body, { params }) => {
      await requirePermission(rules(), caller, tx, 'resolve-incident');
      return incidents.resolve(tx, caller, params.id ?? '');
    },
    { result: showIncident },
  );

  change(
    '/v1/incidents/:id/reopen',
    { body: Empty, result: m.IncidentView },
    async (tx, caller, _body, { params }) => {
      await requirePermission(rules(), caller, tx, 'declare-incident');
      return incidents.reopen(tx, caller, params.id ?? '');
    },
    { result: showIncident },
  );
}
