/** What does not work as it should, in words for whoever looks at their status. */
import { formatInstant } from '../protocol/time.ts';
import type { PollRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import { alarmWarning } from './alarms.ts';
import type { Caller } from './caller.ts';
import { hasBrokenJournal } from './journal-breaks.ts';
import type { Outbox } from './outbox.ts';
import { askPermission } from './permissions.ts';
import { readDrills } from './phases.ts';
import { askedFor } from './poll-subjects.ts';
import { hasOverdueReview, mayReview } from './reviews.ts';
import type { Rules } from './rules.ts';
import { LOGINS } from './sweep.ts';
import { taintedStates, taintWarning } from './taints.ts';

/** One failed try is a hiccup. */
const FAILURES = 3;
const DRILL_AGE_MS = 90 * 86_400_000;
/** Of each kind: a target that has forgotten everything must not hide the rest. */
const MOST = 20;

export async function warningsFor(
  tx: ReadTx,
  rules: Rules,
  outbox: Outbox,
  caller: Caller,
): Promise<string[]> {
  const { catalogue } = rules;
  const user = caller.person.id;
  const nowMs = await tx.now();
  const polls = await tx.polls();
  const withheld = (await hasOverdueReview(tx, user, nowMs))
    ? ['a review of your access is overdue: nothing opens for you by itself']
    : [];
  return [
    ...withheld,
    ...(await journalWarnings(tx, caller)),
    ...(await targetWarnings(tx, rules, caller, polls)),
    ...(await taintWarnings(tx, rules, caller)),
    ...(await drillWarnings(tx, rules, nowMs)),
    ...sourceWarnings(polls.filter(askedFor(catalogue))),
    ...(await outbox.warnings(tx)),
  ];
}

async function journalWarnings(tx: ReadTx, { device }: Caller): Promise<string[]> {
  return (await hasBrokenJournal(tx, device.id))
    ? ['the journal of this device does not add up: nothing opens for it by itself until somebody has looked']
    : [];
}

/** For those who clean up. */
async function taintWarnings(tx: ReadTx, rules: Rules, caller: Caller): Promise<string[]> {
  const tainted = await taintedStates(tx);
  if (tainted.length === 0 || !(await mayReview(tx, rules, caller))) return [];
  return shorten(tainted.map(taintWarning));
}

/** What is never tried does not work on the night when it has to. */
async function drillWarnings(tx: ReadTx, { catalogue }: Rules, nowMs: number): Promise<string[]> {
  const canaries = [...catalogue.resources.values()].filter(({ canary, breakGlass }) => canary && breakGlass);
  if (canaries.length === 0) return [];
  const drilled = await readDrills(tx, catalogue);
  const isOld = ({ id }: { id: string }) => !(nowMs - (drilled.get(id) ?? 0) <= DRILL_AGE_MS);
  const names = canaries.filter(isOld).map(({ id }) => id);
  return names.length === 0
    ? []
    : [
        `no break-glass drill has passed in 90 days at ${names.slice(0, 3).join(', ')}: oncall drill ${names[0]}`,
      ];
}

/** One's own logins in trouble; everybody's, and what could not be looked at, for those who may read what happened. */
async function targetWarnings(
  tx: ReadTx,
  rules: Rules,
  caller: Caller,
  polls: readonly PollRow[],
): Promise<string[]> {
  const alarms = await tx.alarms();
  const unseen = polls.filter(
    ({ source, subject, failures }) =>
      subject === LOGINS && failures >= FAILURES && rules.catalogue.resources.has(source),
  );
  if (alarms.length === 0 && unseen.length === 0) return [];
  if ((await askPermission(rules, caller, tx, 'read-audit')).allowed)
    return [...shorten(alarms.map(alarmWarning)), ...shorten(unseen.map(unseenWarning))];
  return shorten(alarms.filter(({ user }) => user === caller.person.id).map(alarmWarning));
}

function unseenWarning({ source, succeededAt, lastError }: PollRow): string {
  const since = succeededAt === null ? 'ever' : formatInstant(succeededAt);
  return `${source} has not been searched for forgotten logins since ${since}: ${lastError ?? 'unknown'}`;
}

function shorten(warnings: readonly string[]): string[] {
  const rest = warnings.length - MOST;
  return rest > 0 ? [...warnings.slice(0, MOST), `and ${rest} more like that`] : [...warnings];
}

/** One for each source, however many of its feeds it is: what has been missing for longest. */
function sourceWarnings(polls: readonly PollRow[]): string[] {
  const worst = new Map<string, PollRow>();
  for (const poll of polls) {
    if (poll.failures < FAILURES && poll.emptySince === null) continue;
    const known = worst.get(poll.source);
    if (!known || (poll.succeededAt ?? 0) < (known.succeededAt ?? 0)) worst.set(poll.source, poll);
  }
  return [...worst.values()].map(({ source, succeededAt, lastError }) => {
    const since = succeededAt === null ? 'ever' : formatInstant(succeededAt);
    return `source ${source} has given no good answer since ${since}: ${lastError ?? 'unknown'}`;
  });
}
