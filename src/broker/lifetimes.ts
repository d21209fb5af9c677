/**
 * Nothing opened for an incident or a shift outlives it: when what a grant was opened for is over, a grace period begins, and
 * then it ends. While that goes on, the window is made longer by itself, up to its hard end.
 */
import { formatInstant } from '../protocol/time.ts';
import type { GrantRow, IncidentRow } from '../store/rows.ts';
import type { Store, Tx } from '../store/store.ts';
import { type AuditLog, BROKER } from './audit-log.ts';
import { alertRulesFor } from './bundles.ts';
import type { Endings } from './endings.ts';
import { coveringShift } from './facts.ts';
import { lookAgain, shiftColumns } from './grants.ts';
import type { Outbox } from './outbox.ts';
import type { CurrentRules } from './rules.ts';
import { standInDevice } from './stand-in.ts';
import { decideStanding } from './standing.ts';
import { endOf, leadAt, nextLook, readyUntil, windowSeconds } from './windows.ts';

export interface Lifetimes {
  /** The timer of a grant: extends it, begins its grace period, ends it; answers when to look again. */
  grantTimer(grantId: string): Promise<number | undefined>;
  incidentResolved(tx: Tx, incident: IncidentRow): Promise<void>;
  incidentReopened(tx: Tx, incident: IncidentRow): Promise<void>;
  /** What only the incident's former priority or service allowed ends. */
  incidentChanged(tx: Tx, incident: IncidentRow): Promise<void>;
}

const MOST = 10_000;
const OPEN = ['ready', 'active'] as const;

export function createLifetimes(
  store: Store,
  rules: CurrentRules,
  log: AuditLog,
  endings: Endings,
  outbox: Outbox,
): Lifetimes {
  /** Grants with this incident that are open, each held by this transaction. */
  async function openGrantsOf(tx: Tx, incident: string): Promise<GrantRow[]> {
    const found = await tx.grants({ incident, states: OPEN, limit: MOST });
    const held: GrantRow[] = [];
    for (const { id } of found) {
      const grant = await tx.lockGrant(id);
      if (grant && grant.state !== 'ended') held.push(grant);
    }
    return held;
  }

  /**
   * From when what it was opened for was over. Nobody has used what is ready: it needs no time to be finished with.
   * Undefined where it has ended by this.
   */
  async function beginGrace(
    tx: Tx,
    grant: GrantRow,
    fromMs: number,
    seconds: number,
    cause: string,
  ): Promise<GrantRow | undefined> {
    const nowMs = await tx.now();
    const graceEndsAt = Math.min(fromMs + seconds * 1000, grant.endsAt);
    if (grant.state === 'ready' || graceEndsAt <= nowMs) {
      await endings.endGrant(tx, grant, { cause, actor: BROKER });
      return undefined;
    }
    await tx.updateGrant(grant.id, { graceEndsAt, graceCause: cause });
    const after: GrantRow = { ...grant, graceEndsAt, graceCause: cause };
    await lookAgain(tx, after, nowMs);
    await log.record(tx, {
      event: 'grant.grace',
      actor: BROKER,
      subject: { grant: grant.id, user: grant.user, resource: grant.resource },
      data: { cause, endsAt: formatInstant(graceEndsAt) },
    });
    await warn(tx, after, cause);
    return after;
  }

  function warn(tx: Tx, grant: GrantRow, why: string): Promise<void> {
    const end = formatInstant(endOf(grant));
    const target = `${grant.resource}:${grant.role}`;
    return outbox.post(tx, {
      id: `ending/${grant.id}/${end}`,
      kind: 'ending',
      subject: grant.id,
      to: [grant.user],
      title: `${target} ends at ${end}`,
      who: grant.user,
      what: target,
      why,
      howLong: `until ${end}`,
      rule: grant.rule ?? grant.via,
      command:
        grant.via === 'break-glass'
          ? `oncall break-glass ${target} --reason '…'`
          : `oncall request ${target}`,
    });
  }

  /** The recorded shift is over: another one of the same person goes on, or the grace period begins. */
  async function afterShift(tx: Tx, grant: GrantRow, nowMs: number): Promise<GrantRow | undefined> {
    const current = rules();
    const resource = current.catalogue.resources.get(grant.resource);
    const next = resource && coveringShift(current, grant.user, resource, nowMs);
    if (next) {
      const until = readyUntil(next, nowMs);
      const window = grant.state === 'ready' ? { endsAt: until, hardEndsAt: until } : {};
      const change = { ...shiftColumns(next), ...window };
      await tx.updateGrant(grant.id, change);
      return { ...grant, ...change };
    }
    const overSince = grant.shiftEndsAt ?? nowMs;
    return beginGrace(tx, grant, overSince, current.catalogue.grace.shiftSeconds, 'the shift is over');
  }

  /** A longer window, where policy lets it be one; otherwise its holder hears of the end. */
  async function atLead(tx: Tx, grant: GrantRow, nowMs: number): Promise<GrantRow> {
    const longer = await extended(tx, grant, nowMs);
    if (!longer) {
      await warn(tx, grant, 'its window ends');
      return grant;
    }
    await tx.updateGrant(grant.id, longer);
    await log.record(tx, {
      event: 'grant.extended',
      actor: BROKER,
      subject: { grant: grant.id, user: grant.user, resource: grant.resource },
      data: { from: formatInstant(grant.endsAt), to: formatInstant(longer.endsAt) },
    });
    return { ...grant, ...longer };
  }

  async function extended(
    tx: Tx,
    grant: GrantRow,
    nowMs: number,
  ): Promise<Pick<GrantRow, 'endsAt' | 'extensions'> | undefined> {
    if (grant.via === 'break-glass') return undefined;
    const current = rules();
    const resource = current.catalogue.resources.get(grant.resource);
    const incidents = await Promise.all((await tx.incidentsOf(grant.id)).map((id) => tx.incident(id)));
    if (!resource || grant.graceEndsAt !== null || grant.extensions >= resource.session.maxExtensions)
      return undefined;
    if (!incidents.some((incident) => incident?.state === 'open')) return undefined;
    if (!coveringShift(current, grant.user, resource, nowMs)) return undefined;
    const { defaultSeconds } = resource.session;
    const endsAt = Math.min(grant.endsAt + defaultSeconds * 1000, grant.hardEndsAt);
    if (endsAt <= grant.endsAt) return undefined;
    const device = await standInDevice(tx, grant.user, grant);
    const { allowed } = await decideStanding(tx, current, 'extend', grant, device, defaultSeconds);
    return allowed ? { endsAt, extensions: grant.extensions + 1 } : undefined;
  }

  async function isStillAllowed(tx: Tx, grant: GrantRow): Promise<boolean> {
    const current = rules();
    const resource = current.catalogue.resources.get(grant.resource);
    if (!resource) return false;
    if (grant.state === 'ready' && grant.via === 'alert' && !(await isStillOffered(tx, grant))) return false;
    const device = await standInDevice(tx, grant.user, grant);
    const asked = grant.via === 'approval' || grant.via === 'override' ? 'ask' : 'grant';
    const seconds = windowSeconds(grant, resource);
    return (await decideStanding(tx, current, asked, grant, device, seconds)).allowed;
  }

  /** The rule that opened it still matches one of its incidents. */
  async function isStillOffered(tx: Tx, grant: GrantRow): Promise<boolean> {
    const incidents = await Promise.all((await tx.incidentsOf(grant.id)).map((id) => tx.incident(id)));
    return incidents.some(
      (incident) =>
        incident?.state === 'open' &&
        alertRulesFor(rules().catalogue, incident).some(({ id }) => id === grant.rule),
    );
  }

  return {
    grantTimer(grantId) {
      return store.write(async (tx) => {
        let grant = await tx.lockGrant(grantId);
        if (!grant || grant.state === 'ended') return undefined;
        const nowMs = await tx.now();
        if (isShiftOver(grant, nowMs)) grant = await afterShift(tx, grant, nowMs);
        if (!grant) return undefined;
        if (endOf(grant) <= nowMs) {
          const isGrace = grant.graceEndsAt !== null && grant.graceEndsAt <= nowMs;
          const cause = (isGrace ? grant.graceCause : undefined) ?? 'window ended';
          await endings.endGrant(tx, grant, { cause, actor: BROKER });
          return undefined;
        }
        if (grant.state === 'active' && leadAt(grant) <= nowMs) grant = await atLead(tx, grant, nowMs);
        return nextLook(grant, nowMs);
      });
    },

    async incidentResolved(tx, incident) {
      const { incidentSeconds } = rules().catalogue.grace;
      const nowMs = await tx.now();
      for (const grant of await openGrantsOf(tx, incident.id)) {
        const ids = await tx.incidentsOf(grant.id);
        const rows = await Promise.all(ids.map((id) => tx.incident(id)));
        // Several incidents may hold it open: it ends with the last.
        if (rows.some((row) => row?.state === 'open') || grant.graceEndsAt !== null) continue;
        // What was opened for none does not end with one that was added later.
        if ((await tx.request(grant.requestId))?.incident === null) continue;
        await beginGrace(tx, grant, nowMs, incidentSeconds, `incident ${incident.id} is resolved`);
      }
    },

    async incidentReopened(tx, incident) {
      const nowMs = await tx.now();
      for (const grant of await openGrantsOf(tx, incident.id)) {
        const shiftIsOver = grant.shiftEndsAt !== null && grant.shiftEndsAt <= nowMs;
        if (grant.graceEndsAt === null || shiftIsOver) continue;
        const resumed: GrantRow = { ...grant, graceEndsAt: null, graceCause: null };
        // Whoever reopened it themselves gains nothing by that.
        if (!(await isStillAllowed(tx, resumed))) continue;
        await tx.updateGrant(grant.id, { graceEndsAt: null, graceCause: null });
        await lookAgain(tx, resumed, nowMs);
      }
    },

    async incidentChanged(tx, incident) {
      for (const grant of await openGrantsOf(tx, incident.id)) {
        if (await isStillAllowed(tx, grant)) continue;
        const cause = `incident ${incident.id} is ${incident.priority || 'without priority'} now`;
        await endings.endGrant(tx, grant, { cause, actor: BROKER });
      }
    },
  };
}

/** And nothing has followed from it yet. */
function isShiftOver({ state, endsAt, shiftEndsAt, graceEndsAt }: GrantRow, nowMs: number): boolean {
  if (state === 'ready') return endsAt <= nowMs;
  return graceEndsAt === null && shiftEndsAt !== null && shiftEndsAt <= nowMs && endsAt > nowMs;
}
