/**
 * The broker's event stream. Signed like every request, with the position to go on from in its signed query; authenticated
 * again every 15 minutes, because the stream then ends and the client comes back; closed when its device is revoked.
 */
import { Type } from '@sinclair/typebox';
import { AppError } from '../../protocol/errors.ts';
import { streamEvents } from './event-stream.ts';
import type { RouteContext } from './route-context.ts';

export function registerEventRoutes(context: RouteContext): void {
  const { app, store, rules, events, changes, admitted, streamLimits: limits, logger } = context;
  /** Open ones, by device. */
  const streams = new Map<string, number>();

  const Query = Type.Object(
    { after: Type.Optional(Type.String({ pattern: '^\\d{1,15}$' })) },
    { additionalProperties: false },
  );
  app.route({
    method: 'GET',
    url: '/v1/events',
    config: { signed: true },
    attachValidation: true,
    schema: { querystring: Query },
    handler: async (request, reply) => {
      const { device, person } = await admitted(request);
      const open = streams.get(device.id) ?? 0;
      if (open >= limits.most) {
        throw new AppError('rate_limited', `${limits.most} streams of this device are open already`);
      }
      streams.set(device.id, open + 1);
      const { after } = request.query as { after?: string };
      const listener = {
        user: person.id,
        deviceId: device.id,
        after: after === undefined ? undefined : Number(after),
        isKnown: () => rules().catalogue.people.has(person.id),
        isActive: async () => (await store.read((tx) => tx.device(device.id)))?.state === 'active',
      };
      reply.hijack();
      try {
        await streamEvents(reply.raw, listener, { events, closed: changes.closed, limits });
      } catch (error) {
        // The client finds its stream ended, and comes back to where it was.
        logger.warn({ err: error, correlationId: request.id }, 'a stream of events has failed');
      } finally {
        const left = (streams.get(device.id) ?? 1) - 1;
        if (left > 0) streams.set(device.id, left);
        else streams.delete(device.id);
      }
    },
  });
}
