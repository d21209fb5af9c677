/** How a pending request ends: what is opened is decided again in that moment, and whoever asked is told. */

import { formatDuration } from '../protocol/durations.ts';
import type { Target } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import type { GrantRow, RequestRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import { type Actor, type AuditLog, BROKER } from './audit-log.ts';
import { decideBreakGlass, isBreakGlass } from './break-glass-decision.ts';
import type { BreakGlassOpening } from './break-glass-opening.ts';
import { type Asked, decide, shiftsOf } from './decisions.ts';
import { openGrants } from './grants.ts';
import type { Outbox } from './outbox.ts';
import { type CurrentRules, type Rules, resolveTarget } from './rules.ts';

export interface Settlements {
  /**
   * Opens what policy still lets be asked for; denies otherwise. Answers whether it was opened. What was asked as break-glass is
   * opened as that, whatever `via` says.
   */
  grant(
    tx: Tx,
    request: RequestRow,
    how: { via: GrantRow['via']; durationSeconds: number; outcome: string; actor: Actor },
  ): Promise<boolean>;
  /** `event`: what the log says of it, where an answer has not said it already. */
  end(
    tx: Tx,
    request: RequestRow,
    to: { state: 'denied' | 'expired'; outcome: string; event?: string },
  ): Promise<void>;
}

/** What was asked, as it stands in the request; undefined where a part of it has left the catalogue. */
export async function askedIn(
  tx: Tx,
  { catalogue }: ReturnType<CurrentRules>,
  request: RequestRow,
): Promise<Asked | undefined> {
  const targets = request.targets as unknown as Target[];
  const isThere = ({ resource, role }: Target) => catalogue.resources.get(resource)?.roles.includes(role);
  if (!targets.every(isThere)) return undefined;
  return {
    user: request.user,
    device: await tx.device(request.deviceId),
    targets: targets.map((target) => resolveTarget(catalogue, target)),
    bundle: request.bundle ?? undefined,
    incident: request.incident === null ? undefined : await tx.incident(request.incident),
    reason: request.reason ?? undefined,
    durationSeconds: request.durationSeconds,
  };
}

export function createSettlements(
  rules: CurrentRules,
  log: AuditLog,
  { outbox, opening }: { outbox: Outbox; opening: BreakGlassOpening },
): Settlements {
  async function end(
    tx: Tx,
    request: RequestRow,
    to: { state: 'denied' | 'expired'; outcome: string; event?: string },
  ): Promise<void> {
    const { state, outcome, event } = to;
    await tx.settleRequest(request.id, { state, decidedAt: await tx.now(), outcome });
    if (event !== undefined) {
      await log.record(tx, {
        event,
        actor: BROKER,
        subject: { request: request.id, user: request.user },
        data: { outcome },
      });
    }
    await tell(tx, request, `${state}: ${outcome}`, 'oncall explain');
  }

  function tell(tx: Tx, request: RequestRow, title: string, command: string): Promise<void> {
    return outbox.post(tx, {
      id: `settled/${request.id}`,
      kind: 'settled',
      subject: request.id,
      to: [request.user],
      title,
      who: request.user,
      what: (request.targets as unknown as Target[]).map(formatTarget).join(' '),
      why: request.reason ?? request.incident ?? '',
      howLong: formatDuration(request.durationSeconds),
      rule: (request.chains as string[]).join(', '),
      command,
    });
  }

  return {
    end,

    async grant(tx, request, { via, durationSeconds, outcome, actor }) {
      const current = rules();
      const nowMs = await tx.now();
      const refuse = async (why: string) => {
        await end(tx, request, { state: 'denied', outcome: why, event: 'request.denied' });
        return false;
      };
      const asked = await askedIn(tx, current, request);
      if (!asked) return refuse('what was asked for has left the catalogue');
      const lost = lostSince(asked);
      if (lost !== undefined) return refuse(lost);
      if (isBreakGlass(request)) {
        const closed = asked.targets.find(
          (one) => !isGlassOpenable(current, asked, one, durationSeconds, nowMs),
        );
        if (closed) return refuse(`policy does not permit break-glass on ${closed.target.resource} now`);
        await tx.settleRequest(request.id, { state: 'granted', decidedAt: nowMs, outcome, durationSeconds });
        await opening.open(tx, request, { durationSeconds, actor });
        await tell(tx, request, `granted: ${outcome}`, useOf(request));
        return true;
      }
      const again = decide(current, { ...asked, durationSeconds }, nowMs);
      const refused = again.find(({ decision }) => decision.effect === 'deny');
      if (refused) return refuse(`policy refuses ${refused.target.resource} now`);
      const chains = request.chains as string[];
      const other = again.flatMap(({ decision }) => decision.chains).find((chain) => !chains.includes(chain));
      if (other !== undefined) return refuse(`policy asks for a yes on ${other} now`);
      await tx.settleRequest(request.id, { state: 'granted', decidedAt: nowMs, outcome, durationSeconds });
      await openGrants(tx, current, log, request, {
        via,
        durationSeconds,
        actor,
        shiftOf: shiftsOf(current, request.user, again, nowMs),
      });
      await tell(tx, request, `granted: ${outcome}`, useOf(request));
      return true;
    },
  };
}

function useOf({ targets }: RequestRow): string {
  const [target] = targets as unknown as Target[];
  return target ? `oncall run ${target.resource} -- …` : '';
}

function isGlassOpenable(
  rules: Rules,
  { user, device }: Asked,
  { resource, target }: Asked['targets'][number],
  durationSeconds: number,
  nowMs: number,
): boolean {
  const subject = { user, device, resource, nowMs };
  return decideBreakGlass(rules, subject, target.role, durationSeconds).answer.allowed;
}

/** The world may have changed since it was asked. */
function lostSince({ device, incident }: Asked): string | undefined {
  if (device?.state !== 'active') return 'the device was revoked';
  return incident?.state === 'resolved' ? 'the incident is resolved' : undefined;
}
