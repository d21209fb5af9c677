/** The arithmetic of a grant's window. Pure. Instants are milliseconds since 1970. */
import type { Resource } from '../catalogue/types.ts';
import type { GrantRow } from '../store/rows.ts';

/** A window that is about to end is looked at this long before, so that it can be made longer or its holder be told. */
const LEAD_MS = 20 * 60_000;
/** Of a short window, this share. */
const LEAD_SHARE = 1 / 4;
const DAY_MS = 86_400_000;

export function activeWindow(
  nowMs: number,
  durationSeconds: number,
  maxSeconds: number,
): Pick<GrantRow, 'startsAt' | 'endsAt' | 'hardEndsAt'> {
  const hardEndsAt = nowMs + maxSeconds * 1000;
  return { startsAt: nowMs, endsAt: Math.min(nowMs + durationSeconds * 1000, hardEndsAt), hardEndsAt };
}

/** What nobody has used waits for the end of its shift; where that is not known it is looked at again each day. */
export function readyUntil({ endsAtMs }: { endsAtMs: number | null }, nowMs: number): number {
  return endsAtMs ?? nowMs + DAY_MS;
}

/** How long the window is, for a decision about it: of what is ready, the one that it would begin with. */
export function windowSeconds(
  { state, startsAt, endsAt }: Pick<GrantRow, 'state' | 'startsAt' | 'endsAt'>,
  { session }: Pick<Resource, 'session'>,
): number {
  return state === 'ready' ? session.defaultSeconds : Math.ceil((endsAt - startsAt) / 1000);
}

/** When a window should be extended, or its holder be warned. */
export function leadAt({ startsAt, endsAt }: Pick<GrantRow, 'startsAt' | 'endsAt'>): number {
  return endsAt - Math.min(LEAD_MS, (endsAt - startsAt) * LEAD_SHARE);
}

/** The grant ends no later than this, whatever else happens. */
export function endOf({ endsAt, graceEndsAt }: Pick<GrantRow, 'endsAt' | 'graceEndsAt'>): number {
  return Math.min(endsAt, graceEndsAt ?? Number.POSITIVE_INFINITY);
}

/** As `endOf`; and no later than the grace period after its shift, while that is still ahead: a login may outlive its broker. */
export function loginEndOf(
  grant: Pick<GrantRow, 'endsAt' | 'graceEndsAt' | 'shiftEndsAt'>,
  shiftGraceSeconds: number,
): number {
  if (grant.graceEndsAt !== null || grant.shiftEndsAt === null) return endOf(grant);
  return Math.min(grant.endsAt, grant.shiftEndsAt + shiftGraceSeconds * 1000);
}

/** The next instant after `nowMs` (or its end, which may be over) at which something may have to happen to it. */
export function nextLook(
  grant: Pick<GrantRow, 'state' | 'startsAt' | 'endsAt' | 'graceEndsAt' | 'shiftEndsAt'>,
  nowMs: number,
): number {
  const ahead = [
    grant.state === 'active' ? leadAt(grant) : Number.POSITIVE_INFINITY,
    // Once the grace runs, the shift has had its say.
    grant.graceEndsAt === null ? (grant.shiftEndsAt ?? Number.POSITIVE_INFINITY) : Number.POSITIVE_INFINITY,
  ].filter((at) => at > nowMs);
  return Math.min(endOf(grant), ...ahead);
}
