import type { AccessAction } from '../policy/policy.ts';
import { AppError } from '../protocol/errors.ts';
import type { DeviceRow, GrantRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import { gatherFacts } from './facts.ts';
import type { Rules } from './rules.ts';

/**
 * A fresh decision about what is held already. Several incidents may hold a grant open: one that suffices is enough. Throws
 * `ended` when the resource or role has left the catalogue.
 */
export async function decideStanding(
  tx: ReadTx,
  { catalogue, policy }: Rules,
  action: Extract<AccessAction, 'renew' | 'extend'>,
  grant: GrantRow,
  device: DeviceRow,
  durationSeconds: number,
): Promise<{ allowed: boolean; because: string | undefined }> {
  const resource = catalogue.resources.get(grant.resource);
  if (!resource?.roles.includes(grant.role)) {
    throw new AppError('ended', `${grant.resource}:${grant.role} has left the catalogue`);
  }
  const nowMs = await tx.now();
  const incidents = await Promise.all((await tx.incidentsOf(grant.id)).map((id) => tx.incident(id)));
  const answers = (incidents.length > 0 ? incidents : [undefined]).map((incident) =>
    policy.isAllowed(action, {
      user: grant.user,
      target: { resource: grant.resource, role: grant.role },
      durationSeconds,
      hasReason: true,
      facts: gatherFacts(catalogue, { user: grant.user, device, resource, incident, nowMs }),
      nowMs,
    }),
  );
  const [because] = answers.flatMap(({ rules }) => rules.map((rule) => rule.because ?? rule.id));
  return { allowed: answers.some(({ allowed }) => allowed), because };
}
