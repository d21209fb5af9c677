/**
 * What an outside system says about an incident, taken into our own state. Words arrive twice, late and out of order: each
 * carries the system's own time, an older one never undoes a newer one, and of two of one time the end wins.
 */
import type { Source } from '../../catalogue/types.ts';
import { createId } from '../../protocol/ids.ts';
import { isName } from '../../protocol/names.ts';
import type { OutsideIncident } from '../../sources/incident.ts';
import type { IncidentRow } from '../../store/rows.ts';
import type { Tx } from '../../store/store.ts';
import { type AuditLog, BROKER } from '../audit-log.ts';
import { strangerOf } from '../facts.ts';
import type { CurrentRules, Rules } from '../rules.ts';

/** What follows from a change, decided elsewhere. */
export interface IncidentConsequences {
  /** Opened for the first time, opened again, or more urgent than before. */
  opened(tx: Tx, incident: IncidentRow): Promise<void>;
  reopened(tx: Tx, incident: IncidentRow): Promise<void>;
  resolved(tx: Tx, incident: IncidentRow): Promise<void>;
  /** Its priority, service or labels are others now. */
  changed(tx: Tx, incident: IncidentRow): Promise<void>;
}

export interface IncidentFeed {
  /** `confirmed`: the system's API says it, not a delivery. Answers, in words, what became of it. */
  take(tx: Tx, source: Source, word: OutsideIncident, confirmed: boolean): Promise<string>;
  /** The system's API does not know it: what a delivery said of it was not so, or it was deleted. Over, and as it was otherwise. */
  forget(tx: Tx, source: Source, externalId: string): Promise<void>;
}

export function createIncidentFeed(
  rules: CurrentRules,
  log: AuditLog,
  consequences: IncidentConsequences,
): IncidentFeed {
  async function insert(tx: Tx, source: Source, word: OutsideIncident, confirmed: boolean): Promise<string> {
    const nowMs = await tx.now();
    const incident: IncidentRow = {
      id: await chooseId(tx, source.id, word.externalId, nowMs),
      source: source.id,
      externalId: word.externalId,
      ...describe(rules(), source, word),
      state: word.status,
      startedAt: word.startedAtMs,
      openedAt: nowMs,
      changedAt: word.occurredAtMs,
      confirmedAt: confirmed ? nowMs : null,
      resolvedAt: word.status === 'resolved' ? nowMs : null,
      resolvedBy: word.status === 'resolved' ? source.id : null,
      reopenedBy: null,
    };
    await tx.insertIncident(incident);
    await tx.addIncidentAliases(incident.id, [word.externalId, ...word.aliases]);
    await record(tx, incident, incident.state === 'open' ? 'incident.opened' : 'incident.resolved');
    if (incident.state === 'open') await consequences.opened(tx, incident);
    return incident.state === 'open' ? `opened ${incident.id}` : `${incident.id} was over already`;
  }

  async function update(
    tx: Tx,
    before: IncidentRow,
    source: Source,
    word: OutsideIncident,
    confirmed: boolean,
  ): Promise<string> {
    const nowMs = await tx.now();
    const confirmation = confirmed ? { confirmedAt: nowMs } : {};
    const isOld =
      word.occurredAtMs < before.changedAt ||
      (word.occurredAtMs === before.changedAt && before.state === 'resolved');
    const described = describe(rules(), source, word);
    const people = declarersOf(before, described.declaredBy);
    if (isOld) {
      const late = { ...(confirmed && word.status === before.state ? confirmation : {}), ...people };
      if (Object.keys(late).length > 0) await tx.updateIncident(before.id, late);
      if (matters(before) === matters({ ...before, ...late })) return `${before.id}: an older word`;
      if (before.state === 'open') await consequences.changed(tx, { ...before, ...late });
      return `${before.id}: an older word, that says who declared it`;
    }
    const turned =
      word.status === before.state
        ? {}
        : word.status === 'resolved'
          ? { resolvedAt: nowMs, resolvedBy: source.id }
          : { resolvedAt: null, resolvedBy: null, openedAt: nowMs };
    const { declaredBy: _, ...said } = described;
    // The word of its end says nothing of what it was about; some systems leave that out there.
    const { priority, service, labels } = before;
    const about = word.status === 'resolved' ? { ...said, priority, service, labels } : said;
    const change = {
      ...about,
      ...turned,
      ...people,
      ...confirmation,
      state: word.status,
      changedAt: word.occurredAtMs,
    };
    await tx.updateIncident(before.id, change);
    await tx.addIncidentAliases(before.id, word.aliases);
    const after: IncidentRow = { ...before, ...change };
    if (after.state !== before.state) {
      const isOver = after.state === 'resolved';
      await record(tx, after, isOver ? 'incident.resolved' : 'incident.reopened');
      await (isOver ? consequences.resolved(tx, after) : consequences.reopened(tx, after));
      return `${isOver ? 'resolved' : 'reopened'} ${after.id}`;
    }
    if (matters(before) === matters(after)) return `${after.id}: nothing new`;
    await record(tx, after, 'incident.changed');
    if (after.state === 'open') await consequences.changed(tx, after);
    return `changed ${after.id}`;
  }

  function record(tx: Tx, incident: IncidentRow, event: string) {
    const { id, source, service, priority, title, declaredBy, externalId } = incident;
    return log.record(tx, {
      event,
      actor: BROKER,
      subject: { incident: id, source },
      data: { externalId, service, priority, title, declaredBy },
    });
  }

  return {
    async take(tx, source, word, confirmed) {
      await tx.lockTarget(source.id, 'incident', word.externalId);
      const known = await tx.incidentByExternalId(source.id, word.externalId);
      const held = known && (await tx.lockIncident(known.id));
      return held ? update(tx, held, source, word, confirmed) : insert(tx, source, word, confirmed);
    },

    async forget(tx, source, externalId) {
      await tx.lockTarget(source.id, 'incident', externalId);
      const known = await tx.incidentByExternalId(source.id, externalId);
      const held = known && (await tx.lockIncident(known.id));
      if (held?.state !== 'open') return;
      const nowMs = await tx.now();
      const change = {
        state: 'resolved' as const,
        resolvedAt: nowMs,
        resolvedBy: source.id,
        changedAt: nowMs,
      };
      await tx.updateIncident(held.id, change);
      const after = { ...held, ...change };
      await record(tx, after, 'incident.resolved');
      await consequences.resolved(tx, after);
    },
  };
}

/** What decisions and automation rules look at. */
function matters({ priority, service, labels, declaredBy, reopenedBy }: IncidentRow): string {
  return JSON.stringify([priority, service, labels, declaredBy, reopenedBy]);
}

/**
 * Systems name a person in some of their words only, and in that of a reopening another one: who is known to have declared it
 * stays, and a second one counts as having opened it again.
 */
function declarersOf(
  before: IncidentRow,
  named: string,
): Partial<Pick<IncidentRow, 'declaredBy' | 'reopenedBy'>> {
  if (named === '' || named === before.declaredBy || named === before.reopenedBy) return {};
  return before.declaredBy === '' ? { declaredBy: named } : { reopenedBy: named };
}

function describe({ catalogue }: Rules, source: Source, word: OutsideIncident) {
  const service = [...catalogue.services.values()].find(({ ids }) =>
    ids[source.id]?.includes(word.outsideService),
  );
  const personOf = (outside: string) =>
    [...catalogue.people.values()].find(({ ids }) => ids[source.id] === outside)?.id;
  const mapped = Object.hasOwn(source.priorities, word.priority)
    ? source.priorities[word.priority]
    : undefined;
  return {
    priority: mapped ?? (/^P[1-5]$/.test(word.priority) ? word.priority : ''),
    service: service?.id ?? '',
    title: word.title,
    declaredBy:
      word.outsideDeclarer === ''
        ? ''
        : (personOf(word.outsideDeclarer) ?? strangerOf(source.id, word.outsideDeclarer)),
    assignees: word.outsideAssignees.flatMap((id) => personOf(id) ?? []),
    url: word.url,
    labels: { ...word.labels },
  };
}

/** The system's own id where it is a name that is free, so that people can type what they see there. */
async function chooseId(tx: Tx, source: string, externalId: string, nowMs: number): Promise<string> {
  for (const id of [externalId, `${source}-${externalId}`]) {
    if (isName(id) && (await tx.incidentsByAlias(id, 1)).length === 0) return id;
  }
  return createId('inc', nowMs);
}
