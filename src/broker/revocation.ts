/** Taking access away from others: by grant, person, resource or incident, always with a reason. */
import { AppError } from '../protocol/errors.ts';
import type { Revoke } from '../protocol/messages.ts';
import type { AuditRow, GrantRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import { actorOf, type Caller } from './caller.ts';
import type { Endings } from './endings.ts';
import { findIncident } from './incident-refs.ts';

const MOST_AT_ONCE = 5000;

/** The active grants that all given criteria hit; at least one criterion is needed. */
export async function grantsHitBy(tx: ReadTx, body: Revoke): Promise<readonly GrantRow[]> {
  const { grants: ids, user, resource } = body;
  if (!ids && !user && !resource && !body.incident) {
    throw new AppError('usage', 'say what to revoke', {
      hint: 'oncall revoke <grant> or --user, --resource, --incident',
    });
  }
  if (ids) {
    const found = await Promise.all(ids.map((id) => tx.grant(id)));
    const missing = ids.filter((_, at) => found[at] === undefined);
    if (missing.length > 0)
      throw new AppError('not_found', `there is no grant '${missing[0]}'`, { hint: 'oncall grants --all' });
    return found.filter(
      (grant): grant is GrantRow => grant !== undefined && grant.state !== 'ended' && matches(grant, body),
    );
  }
  const incident = body.incident === undefined ? undefined : (await findIncident(tx, body.incident)).id;
  return tx.grants({
    ...(user !== undefined && { user }),
    ...(resource !== undefined && { resource }),
    ...(incident !== undefined && { incident }),
    states: ['ready', 'active'],
    limit: MOST_AT_ONCE,
  });
}

function matches(grant: GrantRow, { user, resource }: Revoke): boolean {
  return (
    (user === undefined || grant.user === user) && (resource === undefined || grant.resource === resource)
  );
}

export async function revokeGrants(
  tx: Tx,
  log: AuditLog,
  endings: Endings,
  caller: Caller,
  body: Revoke,
): Promise<{ ref: string; audit: AuditRow }> {
  const hit = await grantsHitBy(tx, body);
  const audit = await log.record(tx, {
    event: 'access.revoked',
    actor: actorOf(caller),
    subject: {
      ...(body.user && { user: body.user }),
      ...(body.resource && { resource: body.resource }),
      ...(body.incident && { incident: body.incident }),
    },
    data: { grants: hit.map(({ id }) => id), reason: body.reason },
    embedded: caller.embedded,
  });
  for (const { id } of hit) {
    const grant = await tx.lockGrant(id);
    if (!grant || grant.state === 'ended') continue;
    await endings.endGrant(tx, grant, {
      cause: `revoked by ${caller.person.id}`,
      actor: actorOf(caller),
      reason: body.reason,
    });
  }
  return { ref: hit.map(({ id }) => id).join(','), audit };
}
