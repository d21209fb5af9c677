import type { Catalogue } from '../catalogue/types.ts';
import { type CedarAnswer, PreparsedPolicies } from './cedar.ts';
import {
  buildContext,
  type Circumstances,
  mentionedMembers,
  subjectEntities,
  userEntity,
} from './entities.ts';
import { explainDecision } from './explain.ts';
import type {
  AccessAction,
  AccessDecision,
  AccessQuestion,
  AdminQuestion,
  Answer,
  DecidingRule,
  Policy,
} from './policy.ts';

export interface LoadedRule {
  text: string;
  effect: 'permit' | 'forbid';
  because: string | undefined;
  chain: string | undefined;
  readsShift: boolean;
  readsIncident: boolean;
}

/** Nobody is asked before these open something. */
const WITHOUT_A_HUMAN: readonly AccessAction[] = ['grant', 'extend', 'auto-override'];

/** In code, not in policy: whoever would benefit from an incident cannot open the door with it alone. */
const SELF_DECLARED: DecidingRule = {
  id: 'oncall.self-declared',
  effect: 'forbid',
  because:
    'an incident that you declared or reopened yourself can be asked with, but grants and extends nothing',
  chain: undefined,
};
/** In code as well: who may post to an untrusted source's address must not choose what opens wide. */
const UNTRUSTED_SOURCE: DecidingRule = {
  id: 'oncall.untrusted-source',
  effect: 'forbid',
  because:
    'an incident from a source that the catalogue does not trust can be asked with, but grants the narrowest role alone',
  chain: undefined,
};
/** In code as well: a paging system that cannot be reached must not keep doors open by its silence. */
const STALE_SHIFT: DecidingRule = {
  id: 'oncall.stale-shift',
  effect: 'forbid',
  because: 'who is on call was last heard too long ago: it can be asked with, but grants and extends nothing',
  chain: undefined,
};
const UNKNOWN_PERSON: DecidingRule = {
  id: 'oncall.unknown-person',
  effect: 'forbid',
  because: 'the catalogue does not have this person',
  chain: undefined,
};
const UNKNOWN_TARGET: DecidingRule = {
  id: 'oncall.unknown-target',
  effect: 'forbid',
  because: 'the catalogue does not have this resource or role',
  chain: undefined,
};

/** A policy over validated rules by `@id`. Asking never throws: what cannot be evaluated is an error, and denies. */
export function createPolicy(
  rules: ReadonlyMap<string, LoadedRule>,
  catalogue: Catalogue,
  sha256: string,
): Policy {
  const texts = [...rules].map(([id, { text }]): [string, string] => [id, text]);
  const preparsed = new PreparsedPolicies(Object.fromEntries(texts));
  const members = mentionedMembers(texts.map(([, text]) => text));

  const isAllowed = (action: AccessAction, question: AccessQuestion): Answer => {
    const resource = catalogue.resources.get(question.target.resource);
    if (!resource?.roles.includes(question.target.role)) return refusal(UNKNOWN_TARGET);
    const answer = evaluate(action, question.user, question.target, {
      ...question,
      beneficiary: question.user,
    });
    if (!answer.allowed || !WITHOUT_A_HUMAN.includes(action)) return answer;
    const { shift, incident } = question.facts;
    // Whether the fact counts as known does not matter here: the doubt is not the asker's to use.
    if (incident.value.byBeneficiary) return refusal(SELF_DECLARED);
    const isNarrowest = resource.roles.indexOf(question.target.role) === 0;
    if (incident.known && !incident.value.trusted && !isNarrowest && restsOn(answer, 'readsIncident')) {
      return refusal(UNTRUSTED_SOURCE);
    }
    if (shift.demoted && restsOn(answer, 'readsShift')) return refusal(STALE_SHIFT);
    return answer;
  };

  /** Every permit that decided looks at the fact: without it the answer would have been no. */
  function restsOn(answer: Answer, reads: 'readsShift' | 'readsIncident'): boolean {
    return answer.rules.length > 0 && answer.rules.every(({ id }) => rules.get(id)?.[reads]);
  }

  function evaluate(
    action: string,
    user: string,
    about: { resource?: string; role?: string },
    circumstances: Circumstances,
  ): Answer {
    const person = catalogue.people.get(user);
    if (person === undefined) return refusal(UNKNOWN_PERSON);
    const subject = subjectEntities(catalogue.resources.get(about.resource ?? ''), about.role);
    // The schema lets this action be about roles only; without it, nobody's rules were meant for anything else.
    if (action === 'approve' && subject.uid.type !== 'Role') return refusal(UNKNOWN_TARGET);
    const beneficiary = catalogue.people.get(circumstances.beneficiary ?? '');
    const people = beneficiary === undefined || beneficiary === person ? [person] : [person, beneficiary];
    try {
      const answer = preparsed.authorize({
        principal: { type: 'User', id: person.id },
        action,
        resource: subject.uid,
        context: buildContext(members, circumstances),
        entities: [...people.map(userEntity), ...subject.entities],
      });
      return toAnswer(answer);
    } catch (error) {
      return { allowed: false, rules: [], errors: [error instanceof Error ? error.message : String(error)] };
    }
  }

  function toAnswer({ allowed, reasons, errors }: CedarAnswer): Answer {
    const deciding = reasons.flatMap((id): DecidingRule[] => {
      const rule = rules.get(id);
      return rule ? [{ id, effect: rule.effect, because: rule.because, chain: rule.chain }] : [];
    });
    return { allowed, rules: deciding, errors };
  }

  const decideAccess = (question: AccessQuestion): AccessDecision =>
    decide(isAllowed, question, (answer) => restsOn(answer, 'readsShift'));

  return {
    sha256,
    decideAccess,
    isAllowed,
    isPermitted: (question) =>
      evaluate(question.action, question.user, question.about ?? {}, circumstancesOf(question)),
    explain: (question) =>
      explainDecision(question, catalogue.resources.get(question.target.resource), catalogue, decideAccess),
  };
}

function decide(
  ask: (action: AccessAction, question: AccessQuestion) => Answer,
  question: AccessQuestion,
  restsOnShift: (answer: Answer) => boolean,
): AccessDecision {
  const grant = ask('grant', question);
  if (grant.allowed) {
    const { rules } = grant;
    return { effect: 'grant', rules, chains: [], errors: [], restsOnShift: restsOnShift(grant) };
  }
  const request = ask('ask', question);
  const errors = [...grant.errors, ...request.errors];
  const denials = distinct([...grant.rules, ...request.rules].filter(({ effect }) => effect === 'forbid'));
  if (errors.length > 0 || !request.allowed) {
    return { effect: 'deny', rules: denials, chains: [], errors, restsOnShift: false };
  }
  const chains = [...new Set(request.rules.flatMap(({ chain }) => chain ?? []))];
  // What stood against granting at once is part of the answer.
  const rules = distinct([...request.rules, ...denials]);
  return { effect: 'ask', rules, chains, errors, restsOnShift: restsOnShift(request) };
}

function circumstancesOf(question: AdminQuestion): Circumstances {
  const { facts, nowMs, about } = question;
  return { facts, nowMs, durationSeconds: 0, hasReason: false, beneficiary: about?.user };
}

function refusal(rule: DecidingRule): Answer {
  return { allowed: false, rules: [rule], errors: [] };
}

function distinct(rules: readonly DecidingRule[]): DecidingRule[] {
  return [...new Map(rules.map((rule) => [rule.id, rule])).values()];
}
