/** The arithmetic of a grant's window. Pure. Instants are milliseconds since 1970. */
import type { GrantRow } from '../store/rows.ts';

/** A window that is about to end is looked at this long before, so that it can be made longer or its holder be told. */
const LEAD_MS = 20 * 60_000;
/** Of a short window, this share. */
const LEAD_SHARE = 1 / 4;

export function activeWindow(
  nowMs: number,
  durationSeconds: number,
  maxSeconds: number,
  capMs: number,
): Pick<GrantRow, 'startsAt' | 'endsAt' | 'hardEndsAt'> {
  const hardEndsAt = Math.min(nowMs + maxSeconds * 1000, capMs);
  return { startsAt: nowMs, endsAt: Math.min(nowMs + durationSeconds * 1000, hardEndsAt), hardEndsAt };
}

/** When a window should be extended, or its holder be warned. */
export function leadAt({ startsAt, endsAt }: Pick<GrantRow, 'startsAt' | 'endsAt'>): number {
  return endsAt - Math.min(LEAD_MS, (endsAt - startsAt) * LEAD_SHARE);
}

/** The grant ends no later than this, whatever else happens. */
export function endOf({ endsAt, graceEndsAt }: Pick<GrantRow, 'endsAt' | 'graceEndsAt'>): number {
  return Math.min(endsAt, graceEndsAt ?? Number.POSITIVE_INFINITY);
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
