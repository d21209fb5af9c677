/** What is held: credentials, longer windows, giving back, taking away. */
import { Type } from '@sinclair/typebox';
import { AppError, isAppError } from '../../protocol/errors.ts';
import * as m from '../../protocol/messages.ts';
import type { ReadTx } from '../../store/store.ts';
import { actorOf } from '../caller.ts';
import { extendGrant } from '../extensions.ts';
import { requirePermission } from '../permissions.ts';
import { grantsHitBy, revokeGrants } from '../revocation.ts';
import { viewGrant } from '../views.ts';
import { Empty, LIST, type RouteContext } from './route-context.ts';

/** How long the end of access waits for the targets before it answers with what is proven so far. */
const PROOF_WAIT_MS = 5000;

export function registerGrantRoutes(context: RouteContext): void {
  const { read, consider, change, store, rules, log, credentials, endings, changes, metrics } = context;

  async function showGrants(tx: ReadTx, ids: readonly string[]): Promise<m.GrantView[]> {
    const found = await Promise.all(ids.map((id) => tx.grant(id)));
    const grants = found.filter((grant) => grant !== undefined);
    return Promise.all(grants.map((grant) => viewGrant(tx, rules(), grant)));
  }

  async function showGrant(tx: ReadTx, id: string): Promise<m.GrantView> {
    const [grant] = await showGrants(tx, [id]);
    if (!grant)
      throw new AppError('not_found', `there is no grant '${id}'`, {
        hint: 'oncall grants shows those you have',
      });
    return grant;
  }

  /** Until each login of these grants has ended, or its proof has been taken once. */
  async function waitForProof(ids: readonly string[]): Promise<void> {
    await changes.wait(async () => {
      const open = await store.read(async (tx) => {
        const rows = await Promise.all(
          ids.map((grantId) => tx.credentials({ grantId, states: ['ending'], limit: LIST })),
        );
        return rows.flat().filter(({ proof }) => proof === null);
      });
      return open.length === 0 ? true : undefined;
    }, PROOF_WAIT_MS);
  }

  const AllQuery = Type.Object(
    { all: Type.Optional(Type.Unsafe<string>({ type: 'string', enum: ['true', 'false'] })) },
    { additionalProperties: false },
  );
  read('/v1/grants', { result: m.GrantList, query: AllQuery }, (caller, { query }) =>
    store.read(async (tx) => {
      const all = query.all === 'true';
      if (all) await requirePermission(rules(), caller, tx, 'read-grants');
      const grants = await tx.grants({ ...(!all && { user: caller.person.id }), limit: LIST });
      return { grants: await Promise.all(grants.map((grant) => viewGrant(tx, rules(), grant))) };
    }),
  );

  change(
    '/v1/grants/:id/credentials',
    { body: m.IssueRequest, result: m.CredentialReply },
    (tx, caller, body, { params }) => credentials.begin(tx, caller, params.id ?? '', body),
    {
      async complete({ plan }, look) {
        const kind = plan.material.kind;
        const count = (outcome: string) => {
          metrics.credentials.inc({ kind, outcome });
          if (plan.isRenewal) metrics.renewals.inc({ kind, outcome });
        };
        try {
          const found = await credentials.complete(plan, look);
          count(plan.prolong ? 'prolonged' : 'issued');
          return found;
        } catch (error) {
          count(isAppError(error) ? error.code : 'internal');
          throw error;
        }
      },
      async result(tx, id, _caller, body) {
        return { ...(await credentials.view(tx, id)), prolonged: body.renews === id };
      },
    },
  );

  change(
    '/v1/grants/:id/extend',
    { body: m.Extend, result: m.GrantView },
    (tx, caller, body, { params }) => extendGrant(tx, rules, log, caller, params.id ?? '', body),
    { result: showGrant },
  );

  change(
    '/v1/grants/:id/release',
    { body: Empty, result: m.GrantView, takesAway: true },
    async (tx, caller, _body, { params }) => {
      const grant = await tx.lockGrant(params.id ?? '');
      if (grant?.user !== caller.person.id) {
        throw new AppError('not_found', `you have no grant '${params.id}'`, { hint: 'oncall grants' });
      }
      if (grant.state === 'ended')
        throw new AppError('ended', `the grant on ${grant.resource} has ended already`);
      const by = { cause: 'released', actor: actorOf(caller), embedded: caller.embedded };
      return { ref: grant.id, audit: await endings.endGrant(tx, grant, by) };
    },
    { settle: (id) => waitForProof([id]), result: showGrant },
  );

  change(
    '/v1/revoke',
    { body: m.Revoke, result: m.GrantList, takesAway: true },
    async (tx, caller, body) => {
      if (body.dryRun) throw new AppError('invalid_request', 'a dry run is asked for at /v1/revoke/dry-run');
      await requirePermission(rules(), caller, tx, 'revoke', { ...body });
      return revokeGrants(tx, log, endings, caller, body);
    },
    {
      settle: (ref) => waitForProof(idsIn(ref)),
      async result(tx, ref) {
        return { grants: await showGrants(tx, idsIn(ref)) };
      },
    },
  );

  consider('/v1/revoke/dry-run', { body: m.Revoke, result: m.GrantList }, (caller, body) =>
    store.read(async (tx) => {
      await requirePermission(rules(), caller, tx, 'revoke', { ...body });
      const hit = await grantsHitBy(tx, body);
      return { grants: await Promise.all(hit.map((grant) => viewGrant(tx, rules(), grant))) };
    }),
  );
}

/** What one revocation hit, as its reference names it. */
function idsIn(ref: string): string[] {
  return ref === '' ? [] : ref.split(',');
}
