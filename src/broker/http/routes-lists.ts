/** The revocation lists, open to everybody: what counts is who signed them, and they name numbers alone. */
import type { FastifyInstance } from 'fastify';
import { BREAK_GLASS_LIST_PATH, X509_LIST_PATH } from '../../issuers/kinds.ts';
import type { PublishedLists } from '../revocation-lists.ts';

export function registerListRoutes(app: FastifyInstance, lists: PublishedLists): void {
  app.get('/v1/krl/ssh', async (_request, reply) => {
    reply.type('application/octet-stream');
    return Buffer.from((await lists.ssh()).krl);
  });
  app.get('/v1/krl/ssh.sig', async (_request, reply) => {
    reply.type('text/plain');
    return (await lists.ssh()).signature;
  });
  for (const [path, list] of [
    [X509_LIST_PATH, lists.x509],
    [BREAK_GLASS_LIST_PATH, lists.breakGlass],
  ] as const) {
    app.get(path, async (_request, reply) => {
      // RFC 5280 section 4.2.1.13, RFC 2585 section 4.2.
      reply.type('application/pkix-crl');
      return Buffer.from(await list());
    });
  }
}
