/**
 * What would change the answer. Nothing here reads rules: each change is made to the question, and the question is
 * decided again, so what people read is true by construction.
 */
import { formatPosition } from '../catalogue/positions.ts';
import type { Catalogue, Resource } from '../catalogue/types.ts';
import { formatDuration } from '../protocol/durations.ts';
import { formatTarget } from '../protocol/names.ts';
import type { AccessDecision, AccessQuestion, Counterfactual, Facts, IncidentFact } from './policy.ts';

const RANK = { deny: 0, ask: 1, grant: 2 } as const;
const SHORT_SECONDS = [3600, 1800];

export interface Change {
  change: string;
  words: string;
  question: AccessQuestion;
}

/** The changes that would have given a better answer than today's; none for a grant. */
export function explainDecision(
  question: AccessQuestion,
  resource: Resource | undefined,
  catalogue: Catalogue,
  decide: (question: AccessQuestion) => AccessDecision,
): Counterfactual[] {
  const today = RANK[decide(question).effect];
  if (resource === undefined || today === RANK.grant) return [];
  const better = (changes: readonly Change[]) =>
    changes.flatMap(({ change, words, question: changed }) => {
      const { effect } = decide(changed);
      return RANK[effect] > today ? [{ change, words, effect }] : [];
    });
  const single = better(singleChanges(question, resource, catalogue));
  return single.length > 0 ? single : better(combinedChanges(question, resource, catalogue));
}

/** One thing turned over, in the order in which people can do something about it. */
export function singleChanges(question: AccessQuestion, resource: Resource, catalogue: Catalogue): Change[] {
  return [
    ...reasonChange(question),
    ...incidentChanges(question, resource),
    ...shiftChange(question, resource, catalogue),
    ...durationChanges(question, resource),
    ...roleChanges(question, resource),
    ...freshnessChange(question),
    ...presenceChange(question),
  ];
}

/** Asked only where no single change helps: on call, and with an incident. */
export function combinedChanges(
  question: AccessQuestion,
  resource: Resource,
  catalogue: Catalogue,
): Change[] {
  return shiftChange(question, resource, catalogue).flatMap((shift) =>
    incidentChanges(shift.question, resource).map((incident) => ({
      change: `${shift.change}+${incident.change}`,
      words: `${shift.words} and ${incident.words}`,
      question: incident.question,
    })),
  );
}

function withFacts(question: AccessQuestion, facts: Partial<Facts>): AccessQuestion {
  return { ...question, facts: { ...question.facts, ...facts } };
}

function reasonChange(question: AccessQuestion): Change[] {
  if (question.hasReason) return [];
  return [{ change: 'reason', words: 'if you gave a reason', question: { ...question, hasReason: true } }];
}

function incidentChanges(question: AccessQuestion, resource: Resource): Change[] {
  const { incident } = question.facts;
  const changed = (change: string, words: string, value: Partial<IncidentFact>): Change => {
    const fact = { known: true, source: incident.source, ageSeconds: 0 };
    const facts = { incident: { ...fact, value: { ...incident.value, ...value } } };
    return { change, words, question: withFacts(question, facts) };
  };
  const byOther = { byBeneficiary: false, declaredBy: '' };
  const vouchedFor = { trusted: true, confirmed: true };
  const { id, open, matchesResource, byBeneficiary, trusted, confirmed } = incident.value;
  if (!incident.known || !open || !matchesResource) {
    const words = `if an incident on ${resource.service}, declared by somebody else, were open`;
    const usable = { open: true, service: resource.service, matchesResource: true };
    return [changed('incident.open', words, { ...usable, ...byOther, ...vouchedFor })];
  }
  if (byBeneficiary) {
    return [changed('incident.declaredBy', `if somebody else had declared ${id}`, byOther)];
  }
  if (trusted && confirmed) return [];
  return [changed('incident.source', `if a trusted source had confirmed ${id}`, vouchedFor)];
}

function shiftChange(question: AccessQuestion, resource: Resource, catalogue: Catalogue): Change[] {
  const { shift } = question.facts;
  if (shift.known && shift.value.coversResource && shift.value.level === 1) return [];
  const schedules = catalogue.services.get(resource.service)?.schedules ?? [];
  const value = {
    onCall: true,
    level: 1,
    schedules: [...new Set([...shift.value.schedules, ...schedules])],
    positions: [
      ...new Set([...shift.value.positions, ...schedules.map((schedule) => formatPosition(schedule, 1))]),
    ],
    coversResource: schedules.length > 0,
  };
  const on = schedules.length > 0 ? schedules.join(' and ') : resource.service;
  return [
    {
      change: 'shift.onCall',
      words: `if you were on call for ${on} at level 1`,
      question: withFacts(question, { shift: { known: true, value, source: shift.source, ageSeconds: 0 } }),
    },
  ];
}

function durationChanges(question: AccessQuestion, resource: Resource): Change[] {
  return [...new Set([resource.session.defaultSeconds, ...SHORT_SECONDS])]
    .filter((seconds) => seconds < question.durationSeconds)
    .map((durationSeconds) => ({
      change: 'duration',
      words: `if you asked for ${formatDuration(durationSeconds)}`,
      question: { ...question, durationSeconds },
    }));
}

function roleChanges(question: AccessQuestion, resource: Resource): Change[] {
  const index = resource.roles.indexOf(question.target.role);
  return resource.roles.slice(0, Math.max(0, index)).map((role) => {
    const target = { resource: resource.id, role };
    return {
      change: 'role',
      words: `if you asked for ${formatTarget(target)}`,
      question: { ...question, target },
    };
  });
}

function freshnessChange(question: AccessQuestion): Change[] {
  const stale = Object.entries(question.facts).filter(
    ([, fact]) => !fact.known || fact.demoted || fact.ageSeconds > 0,
  );
  if (stale.length === 0) return [];
  const { shift, incident, device, risk, presence } = question.facts;
  const facts: Facts = {
    shift: { ...shift, known: true, ageSeconds: 0, demoted: false },
    incident: { ...incident, known: true, ageSeconds: 0 },
    device: { ...device, known: true, ageSeconds: 0 },
    risk: { ...risk, known: true, ageSeconds: 0 },
    presence: { ...presence, known: true, ageSeconds: 0 },
  };
  const names = stale.map(([name]) => name).join(', ');
  return [
    {
      change: 'freshness',
      words: `if what is known of ${names} were fresh`,
      question: { ...question, facts },
    },
  ];
}

function presenceChange(question: AccessQuestion): Change[] {
  const { presence } = question.facts;
  if (presence.known && presence.value.method === 'fresh-login') return [];
  const fact = {
    known: true,
    value: { method: 'fresh-login' as const },
    source: presence.source,
    ageSeconds: 0,
  };
  const words = 'if you proved with a fresh sign-in that it is you';
  return [{ change: 'presence', words, question: withFacts(question, { presence: fact }) }];
}
