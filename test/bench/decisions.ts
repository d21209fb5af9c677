// How many decisions a second a policy of 50 and of 500 rules gives: the starter's rules, and others that never match.

import { parseCatalogue } from '../../src/catalogue/parse.ts';
import { STARTER_POLICY } from '../../src/policy/starter.ts';
import { incident, load, noFacts, question, shift } from '../policy/questions.ts';
import { benchCatalogue, HOSTS, TYPIST } from './broker.ts';
import type { Row, Section } from './report.ts';
import { timePerCall } from './statistics.ts';

const SIZES = [50, 500];
const [ASKED = '', ...OTHERS] = HOSTS;

export function measureDecisions(): Section {
  const { catalogue } = parseCatalogue(benchCatalogue(), 'catalogue.yaml', '/');
  const asked = { user: TYPIST, target: { resource: ASKED, role: 'operator' } };
  const granted = question({ ...asked, facts: { shift: shift(), incident: incident() } });
  const denied = question({ ...asked, facts: noFacts });
  const times = SIZES.map((rules) => {
    const policy = load(policyOf(rules), catalogue);
    if (policy.decideAccess(granted).effect !== 'grant' || policy.decideAccess(denied).effect !== 'deny')
      throw new Error('the policy of the bench decides otherwise than it should');
    return {
      rules,
      grantMs: timePerCall(() => policy.decideAccess(granted)),
      denyMs: timePerCall(() => policy.decideAccess(denied)),
    };
  });
  const [small] = times;
  const rows = times.flatMap(({ rules, grantMs, denyMs }): Row[] => [
    {
      name: `${rules} policies, granted at once`,
      value: 1000 / grantMs,
      unit: '/s',
      ...(small && { ratio: { value: grantMs / small.grantMs, to: `the time with ${small.rules}` } }),
    },
    {
      name: `${rules} policies, denied (grant, then ask)`,
      value: 1000 / denyMs,
      unit: '/s',
      ...(small && { ratio: { value: denyMs / small.denyMs, to: `the time with ${small.rules}` } }),
    },
  ]);
  return {
    title: 'policy decisions',
    rows,
    notes: ['the starter policy and rules for other hosts; facts are given, not gathered'],
  };
}

/** Each looks at the resource first, as an author's would, and then at facts. */
function policyOf(rules: number): string {
  const starter = STARTER_POLICY.match(/^@id\(/gm)?.length ?? 0;
  const others = Array.from({ length: rules - starter }, (_, i) => {
    return `@id("other-${i}")
@because("of another host")
permit (principal, action == Action::"grant", resource)
when {
  resource.resourceName == "${OTHERS[i % OTHERS.length]}" && resource.rank == 0 &&
  context.shift.known && context.shift.value.coversResource &&
  context.incident.known && context.incident.value.open && context.request.durationSeconds <= ${600 + i}
};`;
  });
  return `${STARTER_POLICY}\n${others.join('\n')}`;
}
