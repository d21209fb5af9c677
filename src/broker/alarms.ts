/**
 * What somebody has to look at, because the product cannot set it right by itself: a login whose end is not proven, a login
 * that should not exist. One for each person and resource; said once when it is raised and once when it is over, to the person
 * and to those who own reviews.
 */
import type { Json } from '../protocol/canonical-json.ts';
import { formatInstant } from '../protocol/time.ts';
import type { AlarmRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import { peopleOf } from './approvers.ts';
import { type AuditLog, BROKER } from './audit-log.ts';
import type { Outbox } from './outbox.ts';
import type { CurrentRules } from './rules.ts';

/** Logins at one resource, of one person (or of nobody known: empty), that are not as they should be. */
export interface Trouble {
  kind: AlarmRow['kind'];
  /** A device's id where it is about a journal. */
  resource: string;
  user: string;
  handles: readonly string[];
  /** In words. */
  why: string;
}

export interface Alarms {
  /** Told once, and again of logins that nobody accounts for and of entries of a journal: each that comes is news. */
  raise(tx: Tx, trouble: Trouble): Promise<void>;
  clear(tx: Tx, alarm: AlarmRow, why: string): Promise<void>;
}

/** Names that are kept and told of; of the rest, how many. */
const MOST_HANDLES = 100;
const SHOWN_HANDLES = 5;
const EACH_IS_NEWS: readonly AlarmRow['kind'][] = ['orphan', 'journal', 'break-glass'];

export function alarmId({ kind, resource, user }: Pick<AlarmRow, 'kind' | 'resource' | 'user'>): string {
  return `${kind}/${resource}/${user}`;
}

export function createAlarms(rules: CurrentRules, log: AuditLog, outbox: Outbox): Alarms {
  async function tell(tx: Tx, alarm: AlarmRow, why: string, isOver: boolean): Promise<void> {
    const current = rules();
    const nowMs = await tx.now();
    const since = formatInstant(alarm.raisedAt);
    const matter = `alarm/${alarm.id}/${since}`;
    const owners = peopleOf(current, current.catalogue.reviews.owners, alarm.user, nowMs);
    const [handle] = alarm.handles as string[];
    await outbox.post(tx, {
      id: `${matter}/${isOver ? 'over' : formatInstant(nowMs)}`,
      kind: 'alarm',
      matter: { id: matter, isOver },
      subject: alarm.id,
      to: alarm.user === '' ? owners : [alarm.user, ...owners],
      title: isOver ? `over: ${titleOf(alarm)}` : titleOf(alarm),
      who: alarm.user,
      what: handleWords(alarm),
      why,
      howLong: isOver ? `${since} to ${formatInstant(nowMs)}` : `since ${since}`,
      rule: alarm.kind,
      command: isOver ? '' : alarm.kind === 'journal' ? 'oncall reviews list' : `oncall audit who ${handle}`,
    });
    await log.record(tx, {
      event: isOver ? 'alarm.cleared' : 'alarm.raised',
      actor: BROKER,
      subject: { resource: alarm.resource, ...(alarm.user !== '' && { user: alarm.user }) },
      data: { kind: alarm.kind, why, handles: alarm.handles, count: alarm.count, since },
    });
  }

  return {
    async raise(tx, { kind, resource, user, handles, why }) {
      const id = alarmId({ kind, resource, user });
      const before = (await tx.alarms()).find((alarm) => alarm.id === id);
      const kept = [...handles].sort().slice(0, MOST_HANDLES);
      const alarm: AlarmRow = {
        id,
        kind,
        resource,
        user,
        handles: kept,
        count: handles.length,
        raisedAt: before?.raisedAt ?? (await tx.now()),
      };
      const known = new Set((before?.handles as string[] | undefined) ?? []);
      const isNews =
        before === undefined || (EACH_IS_NEWS.includes(kind) && kept.some((handle) => !known.has(handle)));
      await tx.raiseAlarm(alarm);
      if (isNews) await tell(tx, alarm, why, false);
    },

    async clear(tx, alarm, why) {
      if (await tx.clearAlarm(alarm.id)) await tell(tx, alarm, why, true);
    },
  };
}

/** One line for a status. */
export function alarmWarning(alarm: AlarmRow): string {
  return `since ${formatInstant(alarm.raisedAt)}: ${titleOf(alarm)} (${handleWords(alarm)})`;
}

function titleOf({ kind, resource, user, count }: AlarmRow): string {
  if (kind === 'journal') return `the journal of ${resource}, a device of ${user}, does not add up`;
  const logins = `${count} ${count === 1 ? 'login' : 'logins'}`;
  const whose = user === '' ? '' : ` of ${user}`;
  if (kind === 'unproven') return `${resource}: the end of ${logins}${whose} is not proven`;
  if (kind === 'break-glass')
    return `${resource}: ${count} break-glass ${count === 1 ? 'login' : 'logins'}${whose} without an entry in a journal`;
  if (kind === 'login')
    return `${resource} let in ${logins} by certificates of ours that this broker never issued`;
  const what = user === '' ? 'that this broker did not make' : `${whose.trim()} that had ended`;
  return `${resource} has ${logins} ${what}`;
}

function handleWords({ handles, count }: { handles: Json; count: number }): string {
  const shown = (handles as string[]).slice(0, SHOWN_HANDLES);
  const rest = count - shown.length;
  return `${shown.join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}
