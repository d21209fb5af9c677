/** The log, for those who may read it; its checkpoints, for everybody who is known. */
import { Type } from '@sinclair/typebox';
import { MOST_NAME_LENGTH } from '../../audit/trace-names.ts';
import * as m from '../../protocol/messages.ts';
import { Instant } from '../../protocol/schema.ts';
import { requirePermission } from '../permissions.ts';
import { answerWho } from '../trace.ts';
import type { RouteContext } from './route-context.ts';

const MOST_ENTRIES = 500;
const Whole = Type.Optional(Type.String({ pattern: '^\\d{1,15}$' }));

export function registerAuditRoutes({ read, consider, store, rules, log, reach }: RouteContext): void {
  const CheckpointQuery = Type.Object({ from: Whole }, { additionalProperties: false });
  read('/v1/audit/checkpoint', { result: m.CheckpointReply, query: CheckpointQuery }, (_caller, { query }) =>
    log.checkpoint(Number(query.from ?? 0)),
  );

  consider('/v1/audit/seen', { body: m.SeenCheckpoint, result: m.CheckpointReply }, async (_caller, body) => {
    reach.learn(body.checkpoint);
    return log.checkpoint(0);
  });

  const WhoQuery = Type.Object(
    {
      name: Type.String({ minLength: 1, maxLength: MOST_NAME_LENGTH }),
      at: Type.Optional(Instant),
    },
    { additionalProperties: false },
  );
  read('/v1/audit/who', { result: m.AuditWho, query: WhoQuery }, (caller, { query }) =>
    store.read((tx) => answerWho(tx, rules(), caller, query.name ?? '', query.at)),
  );

  const PageQuery = Type.Object({ from: Whole, limit: Whole }, { additionalProperties: false });
  read('/v1/audit/entries', { result: m.AuditPage, query: PageQuery }, (caller, { query }) =>
    store.read(async (tx) => {
      await requirePermission(rules(), caller, tx, 'read-audit');
      const limit = Math.min(Number(query.limit ?? MOST_ENTRIES), MOST_ENTRIES);
      const rows = await tx.auditEntries(Number(query.from ?? 0), limit);
      return {
        entries: rows.map(({ index, entry, leafHash }) => ({ index, entry, leafHash })),
        size: await tx.auditSize(),
      };
    }),
  );
}
