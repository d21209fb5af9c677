/** From the catalogue's words for approvers to people: never the requester, never somebody who has left. */
import { formatApprover } from '../catalogue/approvers.ts';
import type { Approver, Stage } from '../catalogue/types.ts';
import type { Seats } from './chain-progress.ts';
import type { Rules } from './rules.ts';

/** Who these are now, in the order written; of a schedule, whoever is on call. */
export function peopleOf(
  rules: Rules,
  approvers: readonly Approver[],
  requester: string,
  nowMs: number,
): string[] {
  const people = approvers.flatMap((approver) => namedBy(rules, approver, requester, nowMs));
  return [...new Set(people)].filter((id) => id !== requester && rules.catalogue.people.has(id));
}

function namedBy(
  { catalogue, shifts }: Rules,
  approver: Approver,
  requester: string,
  nowMs: number,
): string[] {
  switch (approver.kind) {
    case 'person':
      return [approver.id];
    case 'manager':
      return [catalogue.people.get(requester)?.manager ?? ''];
    case 'group':
      return [...catalogue.people.values()]
        .filter(({ groups }) => groups.includes(approver.id))
        .map(({ id }) => id);
    case 'schedule':
      return shifts
        .onCall(approver.id, nowMs)
        .filter(({ level }) => approver.level === undefined || level === approver.level)
        .map(({ user }) => user);
  }
}

/** Everybody who could say yes on this chain in any of its stages, as things are now. */
export function approversOf(rules: Rules, chainId: string, requester: string, nowMs: number): string[] {
  const chain = rules.catalogue.chains.get(chainId);
  const approvers = chain?.stages.flatMap(({ parties }) => parties.flatMap((party) => party.approvers)) ?? [];
  return peopleOf(rules, approvers, requester, nowMs);
}

/**
 * A stage's parties with their people: those of now, and of schedules those that were asked when it began (`asked`, by party), so
 * that a handover in the middle lets the incoming person answer and does not silence the outgoing one. Whom the catalogue has
 * stopped to name may not answer any more.
 */
export function seatsOf(
  rules: Rules,
  stage: Stage,
  requester: string,
  nowMs: number,
  asked: readonly (readonly string[])[] = [],
): Seats[] {
  return stage.parties.map(({ approvers, need }, party) => {
    const outgoing = approvers.some(({ kind }) => kind === 'schedule') ? (asked[party] ?? []) : [];
    const stayed = outgoing.filter((id) => id !== requester && rules.catalogue.people.has(id));
    return {
      label: approvers.map(formatApprover).join(' or '),
      need,
      members: new Set([...peopleOf(rules, approvers, requester, nowMs), ...stayed]),
    };
  });
}

export function stageWords(stage: Stage): string[] {
  return stage.parties.map(({ approvers, need }) => {
    const words = approvers.map(formatApprover).join(' or ');
    return need === 1 ? words : `${need} of ${words}`;
  });
}
