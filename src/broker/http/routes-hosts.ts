/** What hosts report. They are no devices: they have keys of their own, sign under a tag of their own, and may do nothing else. */
import * as m from '../../protocol/messages.ts';
import { parseStrictJson } from '../../protocol/strict-json.ts';
import { type AuthenticatedHost, AuthenticationError, createHostAuthenticator } from '../authenticate.ts';
import { incoming } from './incoming.ts';
import type { RouteContext } from './route-context.ts';

declare module 'fastify' {
  interface FastifyRequest {
    authenticatedHost: AuthenticatedHost | undefined;
  }
}

export function registerHostRoutes({ app, store, authority, hostReports, onChange }: RouteContext): void {
  const authenticate = createHostAuthenticator({ store, authority });
  app.decorateRequest('authenticatedHost', undefined);
  app.route({
    method: 'POST',
    url: '/v1/hosts/logins',
    // Only what was signed by a host that we know gets parsed: here, not by the hook for devices.
    config: { raw: true },
    schema: { body: m.HostReport, response: { 200: m.HostReply } },
    attachValidation: true,
    preValidation: async (request) => {
      request.authenticatedHost = await authenticate(incoming(request));
      request.body = parseStrictJson(request.rawBody ?? Buffer.alloc(0));
    },
    handler: async (request): Promise<m.HostReply> => {
      const host = request.authenticatedHost;
      if (!host) throw new AuthenticationError('missing');
      const reply = await store
        .write(async (tx) => {
          const rows = await host.admit(tx);
          if (request.validationError) throw request.validationError;
          return hostReports.take(tx, rows, request.body as m.HostReport);
        })
        .catch(async (error: unknown) => {
          // The rollback took the nonce with it.
          if (!(error instanceof AuthenticationError)) await store.write(host.admit).catch(() => undefined);
          throw error;
        });
      onChange();
      return reply;
    },
  });
}
