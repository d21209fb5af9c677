/**
 * What opens by itself: when a shift starts or an alert fires, the bundle of each rule that matches, for whoever is on call.
 * The yes was given when the rules were written; it is decided once at the event, and in full when a device asks for the first
 * credential. Each (rule, person, shift, incident) opens once, on however many brokers.
 */
import { createHash } from 'node:crypto';
import type { AutomationRule } from '../../catalogue/types.ts';
import { createId } from '../../protocol/ids.ts';
import { formatTarget } from '../../protocol/names.ts';
import type { Shift } from '../../sources/shift.ts';
import type { IncidentRow, RequestRow } from '../../store/rows.ts';
import type { ReadTx, Store, Tx } from '../../store/store.ts';
import { type AuditLog, BROKER } from '../audit-log.ts';
import { alertRulesFor } from '../bundles.ts';
import { type Asked, decide, overallEffect, recordDecision } from '../decisions.ts';
import { openGrants } from '../grants.ts';
import type { Outbox } from '../outbox.ts';
import { hasOverdueReview } from '../reviews.ts';
import { type CurrentRules, resolveTarget } from '../rules.ts';
import { standInDevice } from '../stand-in.ts';
import { readyUntil } from '../windows.ts';

export interface Automation {
  /** In the transaction of the incident's opening, reopening or change. */
  incidentOpened(tx: Tx, incident: IncidentRow): Promise<void>;
  /** The watch over shifts: opens what is due, answers when to look again. */
  watch(): Promise<number>;
}

/** One bundle for one person at one event. */
interface Offer {
  rule: AutomationRule;
  user: string;
  /** Unique: the rule, the person, the shift's beginning, and the incident's opening where it is for one. */
  origin: string;
  incident: IncidentRow | undefined;
  shift: Shift;
}

const LOOK_AGAIN_MS = 30_000;
const MOST_INCIDENTS = 1000;

export function createAutomation(
  store: Store,
  rules: CurrentRules,
  log: AuditLog,
  outbox: Outbox,
): Automation {
  function offersOfShifts(nowMs: number): Offer[] {
    return [...rules().catalogue.automation.values()].flatMap((rule) =>
      rule.on.kind === 'shift' ? offersTo(rule, [rule.on.schedule], undefined, nowMs) : [],
    );
  }

  function offersOfIncident(incident: IncidentRow, nowMs: number): Offer[] {
    const { catalogue } = rules();
    if (incident.state !== 'open') return [];
    const schedules = catalogue.services.get(incident.service)?.schedules ?? [];
    return alertRulesFor(catalogue, incident).flatMap((rule) => offersTo(rule, schedules, incident, nowMs));
  }

  /** One for each person on call at the rule's level: of several shifts, the one that lasts longest. */
  function offersTo(
    rule: AutomationRule,
    schedules: readonly string[],
    incident: IncidentRow | undefined,
    nowMs: number,
  ): Offer[] {
    const longest = new Map<string, Shift>();
    for (const shift of schedules.flatMap((schedule) => rules().shifts.onCall(schedule, nowMs))) {
      const other = longest.get(shift.user);
      if (shift.level > rule.maxLevel || (other && endOfShift(other) >= endOfShift(shift))) continue;
      longest.set(shift.user, shift);
    }
    return [...longest.values()].map((shift) => {
      const { user } = shift;
      const event = incident ? [incident.id, incident.openedAt] : [];
      return { rule, user, shift, incident, origin: [rule.id, user, shift.startsAtMs, ...event].join('/') };
    });
  }

  async function open(tx: Tx, offer: Offer): Promise<void> {
    const { rule, user, origin, incident, shift } = offer;
    await tx.lockTarget(user, 'automation', rule.id);
    if (await tx.requestByOrigin(origin)) return;
    const current = rules();
    const nowMs = await tx.now();
    const bundle = current.catalogue.bundles.get(rule.bundle);
    if (!bundle || !current.catalogue.people.has(user)) return;
    if (await hasOverdueReview(tx, user, nowMs)) return refuse(tx, offer, 'a review is overdue');

    const targets = bundle.targets.map((target) => resolveTarget(current.catalogue, target));
    const asked: Asked = {
      user,
      device: await standInDevice(tx, user),
      targets,
      bundle: bundle.id,
      incident,
      reason: undefined,
      durationSeconds: Math.min(...targets.map(({ resource }) => resource.session.defaultSeconds)),
    };
    const decided = decide(current, asked, nowMs);
    if (overallEffect(decided) !== 'grant') return refuse(tx, offer, 'policy does not grant it');

    const decision = recordDecision(current, decided);
    const request: RequestRow = {
      id: createId('req', nowMs),
      user,
      deviceId: '',
      state: 'granted',
      targets: targets.map(({ target }) => ({ ...target })),
      bundle: bundle.id,
      origin,
      incident: incident?.id ?? null,
      reason: null,
      durationSeconds: asked.durationSeconds,
      digest: createHash('sha256').update(origin).digest('hex'),
      decision,
      chains: [],
      createdAt: nowMs,
      expiresAt: nowMs,
      decidedAt: nowMs,
      outcome: `by automation rule ${rule.id}`,
    };
    await tx.insertRequest(request);
    await log.record(tx, {
      event: 'request.granted',
      actor: BROKER,
      subject: {
        request: request.id,
        user,
        rule: rule.id,
        ...(incident && { incident: incident.id }),
      },
      data: { targets: request.targets, bundle: bundle.id, origin, decision },
    });
    const made = await openGrants(tx, current, log, request, {
      via: rule.on.kind,
      durationSeconds: asked.durationSeconds,
      actor: BROKER,
      shiftOf: () => shift,
      ready: { rule: rule.id, until: readyUntil(shift, nowMs) },
    });
    if (made === 0) return;
    await outbox.post(tx, {
      id: `opened/${request.id}`,
      kind: 'opened',
      subject: request.id,
      to: [user],
      title: `${bundle.id} is ready for ${user}${incident ? `, for ${incident.id}` : ''}`,
      who: user,
      what: targets.map(({ target }) => formatTarget(target)).join(' '),
      why: incident
        ? `${incident.id} ${incident.priority} ${incident.title}`.trim()
        : `on call for ${shift.schedule}`,
      howLong: 'until the shift or the incident is over',
      rule: rule.id,
      command: 'oncall status --refresh',
    });
  }

  /** Written down once, though the watch of each broker meets it again every half minute. */
  async function refuse(tx: Tx, { origin, rule, user }: Offer, why: string): Promise<void> {
    const event = 'automation.refused';
    const before = await tx.auditSearch({ event, subject: origin, limit: 1 });
    if (before.length > 0) return;
    await log.record(tx, { event, actor: BROKER, subject: { rule: rule.id, user, origin }, data: { why } });
  }

  async function isNew(tx: ReadTx, { origin }: Offer): Promise<boolean> {
    return (await tx.requestByOrigin(origin)) === undefined;
  }

  return {
    async incidentOpened(tx, incident) {
      for (const offer of offersOfIncident(incident, await tx.now())) await open(tx, offer);
    },

    async watch() {
      const nowMs = await store.now();
      const due = await store.read(async (tx) => {
        const incidents = await tx.incidents({ state: 'open', limit: MOST_INCIDENTS });
        const offers = [
          ...offersOfShifts(nowMs),
          ...incidents.flatMap((incident) => offersOfIncident(incident, nowMs)),
        ];
        const fresh: Offer[] = [];
        for (const offer of offers) if (await isNew(tx, offer)) fresh.push(offer);
        return fresh;
      });
      for (const offer of due) {
        await store.write(async (tx) => {
          // It was open a moment ago.
          const incident = offer.incident && (await tx.incident(offer.incident.id));
          if (offer.incident && incident?.state !== 'open') return;
          await open(tx, { ...offer, incident });
        });
      }
      return Math.min(nowMs + LOOK_AGAIN_MS, nextChange(rules(), nowMs));
    },
  };
}

/** When a shift that matters to a rule begins or ends next. */
function nextChange({ catalogue, shifts }: ReturnType<CurrentRules>, nowMs: number): number {
  const schedules = new Set(
    [...catalogue.automation.values()].flatMap(({ on }) =>
      on.kind === 'shift' ? [on.schedule] : (catalogue.services.get(on.service)?.schedules ?? []),
    ),
  );
  return Math.min(...[...schedules].map((id) => shifts.nextChange(id, nowMs) ?? Number.POSITIVE_INFINITY));
}

function endOfShift({ endsAtMs }: Shift): number {
  return endsAtMs ?? Number.POSITIVE_INFINITY;
}
