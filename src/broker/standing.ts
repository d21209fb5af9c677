import type { AccessAction } from '../policy/policy.ts';
import { AppError } from '../protocol/errors.ts';
import type { DeviceRow, GrantRow, IncidentRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import { decideBreakGlass } from './break-glass-decision.ts';
import { gatherFacts, type RecordedShift } from './facts.ts';
import type { Rules } from './rules.ts';

export const GLASS_NEVER_EXTENDS = 'break-glass is never extended: to go on, break the glass again';

/**
 * A fresh decision about what is held already. Several incidents may hold a grant open: one that suffices is enough. While a
 * grace period runs, what it was opened for counts as still going on, for all but a longer window. Throws `ended` when the resource or role has
 * left the catalogue.
 */
export async function decideStanding(
  tx: ReadTx,
  rules: Rules,
  action: Exclude<AccessAction, 'break-glass'>,
  grant: GrantRow,
  device: DeviceRow | undefined,
  durationSeconds: number,
): Promise<{ allowed: boolean; because: string | undefined }> {
  const { catalogue, policy } = rules;
  const resource = catalogue.resources.get(grant.resource);
  if (!resource?.roles.includes(grant.role)) {
    throw new AppError('ended', `${grant.resource}:${grant.role} has left the catalogue`, {
      hint: 'oncall resources shows what there is now',
    });
  }
  const nowMs = await tx.now();
  if (grant.via === 'break-glass') return decideGlass(rules, action, grant, device, durationSeconds, nowMs);
  const inGrace = action !== 'extend' && grant.graceEndsAt !== null && grant.graceEndsAt > nowMs;
  const recorded = recordedShift(grant, inGrace);
  const incidents = await incidentsOf(tx, grant.id, inGrace);
  const answers = (incidents.length > 0 ? incidents : [undefined]).map((incident) =>
    policy.isAllowed(action, {
      user: grant.user,
      target: { resource: grant.resource, role: grant.role },
      durationSeconds,
      hasReason: true,
      facts: gatherFacts(rules, { user: grant.user, device, resource, incident, recorded, nowMs }),
      nowMs,
    }),
  );
  const [because] = answers.flatMap((answer) => answer.rules.map((rule) => rule.because ?? rule.id));
  return { allowed: answers.some(({ allowed }) => allowed), because };
}

/** What break-glass opened stands on its rule alone, and its window never becomes longer. */
function decideGlass(
  rules: Rules,
  action: string,
  grant: GrantRow,
  device: DeviceRow | undefined,
  durationSeconds: number,
  nowMs: number,
): { allowed: boolean; because: string | undefined } {
  if (action === 'extend') return { allowed: false, because: GLASS_NEVER_EXTENDS };
  const resource = rules.catalogue.resources.get(grant.resource);
  if (!resource?.breakGlass?.roles.includes(grant.role))
    return { allowed: false, because: `${grant.resource}:${grant.role} is not for break-glass any more` };
  const subject = { user: grant.user, device, resource, nowMs };
  const { answer } = decideBreakGlass(rules, subject, grant.role, durationSeconds);
  const [because] = answer.rules.map((rule) => rule.because ?? rule.id);
  return { allowed: answer.allowed, because };
}

async function incidentsOf(tx: ReadTx, grantId: string, asOpen: boolean): Promise<IncidentRow[]> {
  const rows = await Promise.all((await tx.incidentsOf(grantId)).map((id) => tx.incident(id)));
  const known = rows.filter((row) => row !== undefined);
  return asOpen ? known.map((row) => ({ ...row, state: 'open' as const })) : known;
}

function recordedShift(grant: GrantRow, isForced: boolean): RecordedShift | undefined {
  const { shiftSchedule: schedule, shiftLevel: level, shiftEndsAt, graceEndsAt } = grant;
  if (schedule === null || level === null) return undefined;
  return { schedule, level, endsAtMs: isForced ? graceEndsAt : shiftEndsAt, isForced };
}
