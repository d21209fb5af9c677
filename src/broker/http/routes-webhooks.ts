/** Where outside systems deliver. Nobody signs these as a device does: each source has its own way to be genuine. */
import type { TLSSocket } from 'node:tls';
import { Type } from '@sinclair/typebox';
import { AuthenticationError } from '../authenticate.ts';
import { toAppError } from './refusal.ts';
import type { RouteContext } from './route-context.ts';

/** An Alertmanager group can be long; nothing else is. */
const BODY_LIMIT = 1024 * 1024;

export function registerWebhookRoutes({ app, deliveries, metrics, onChange }: RouteContext): void {
  app.route({
    method: 'POST',
    url: '/v1/webhooks/:source',
    bodyLimit: BODY_LIMIT,
    config: { raw: true },
    schema: {
      response: { 202: Type.Object({ accepted: Type.Boolean() }, { additionalProperties: false }) },
    },
    // What no sender sends is refused like what no sender signed. Thrown on, to be answered as everything is.
    errorHandler: (error) => {
      const isMalformed = toAppError(error).code === 'invalid_request';
      throw isMalformed ? new AuthenticationError('malformed delivery', error) : error;
    },
    handler: async (request, reply) => {
      const { source = '' } = request.params as { source?: string };
      if (!request.rawBody) throw new AuthenticationError('malformed delivery');
      const socket = request.raw.socket as Partial<TLSSocket>;
      const isNew = await deliveries.accept(source, {
        headers: request.headers,
        body: request.rawBody,
        clientCertificate: socket.getPeerX509Certificate?.()?.raw,
      });
      metrics.deliveries.inc({ source, outcome: isNew ? 'taken' : 'repeated' });
      if (isNew) onChange();
      reply.code(202);
      // A repeat is as welcome as the first: its sender did not hear the answer.
      return { accepted: true };
    },
  });
}
