import { parseCatalogue } from '../../src/catalogue/parse.ts';
import { starterCatalogue } from '../../src/catalogue/starter.ts';
import type { Catalogue, Finding } from '../../src/catalogue/types.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import type { AccessQuestion, Facts, IncidentFact, Policy, ShiftFact } from '../../src/policy/policy.ts';

export const NOW = Date.UTC(2026, 5, 1, 2, 14);

/** The starter's resources, and two more for what its rules tell apart. */
export function testCatalogue(): Catalogue {
  const more = `
  db-vault:
    type: postgres
    service: orders
    environment: production
    sensitivity: high
    connection: { host: 127.0.0.1, database: vault }
    broker: { user: oncall_broker }
    quarantineRole: oncall_quarantine
    roles: { read: { template: oncall_tpl_read } }
  db-dev:
    type: postgres
    service: orders
    environment: staging
    sensitivity: low
    connection: { host: 127.0.0.1, database: dev }
    broker: { user: oncall_broker }
    quarantineRole: oncall_quarantine
    roles: { read: { template: oncall_tpl_read }, write: { template: oncall_tpl_write } }

approvals:
  dbas: { approvers: [ana, example-lead] }
`;
  const text = starterCatalogue({ admin: 'ana' }).replace('\napprovals:\n', more);
  const { catalogue, findings } = parseCatalogue(text, 'catalogue.yaml', '/');
  if (catalogue === undefined) throw new Error(JSON.stringify(findings));
  return catalogue;
}

export function load(text: string, catalogue = testCatalogue()): Policy {
  const { policy, findings } = loadPolicy([{ file: 'test.cedar', text }], catalogue);
  if (policy === undefined) throw new Error(JSON.stringify(findings));
  return policy;
}

export function findingsOf(text: string, catalogue = testCatalogue()): readonly Finding[] {
  return loadPolicy([{ file: 'test.cedar', text }], catalogue).findings;
}

const known = <T>(value: T) => ({ known: true, value, source: 'test', ageSeconds: 0 });
const unknown = <T>(value: T) => ({ known: false, value, source: 'test', ageSeconds: 0 });

export const shift = (over: Partial<ShiftFact> = {}) =>
  known({
    onCall: true,
    level: 1,
    schedules: ['orders-primary'],
    positions: ['orders-primary level 1'],
    coversResource: true,
    ...over,
  });
export const noShift = known({
  onCall: false,
  level: 0,
  schedules: [],
  positions: [],
  coversResource: false,
});
export const incident = (over: Partial<IncidentFact> = {}) =>
  known({
    id: 'P1-123',
    open: true,
    priority: 'P1',
    service: 'orders',
    source: 'manual',
    declaredBy: 'example-lead',
    byBeneficiary: false,
    matchesResource: true,
    trusted: true,
    confirmed: true,
    ...over,
  });

/** Nothing is known; every value says the best that it could. */
export const allUnknown: Facts = {
  shift: { ...shift(), known: false },
  incident: { ...incident(), known: false },
  device: unknown({ id: 'dev', keystore: 'keychain' as const, enrolledSeconds: 1e9 }),
  risk: unknown({ score: 0 }),
  presence: unknown({ method: 'fresh-login' as const }),
};
export const noFacts: Facts = {
  shift: noShift,
  incident: { ...incident({ open: false, matchesResource: false, id: '' }), known: false },
  device: known({ id: 'dev', keystore: 'keychain' as const, enrolledSeconds: 1000 }),
  risk: unknown({ score: 0 }),
  presence: known({ method: 'none' as const }),
};

export function question(
  over: Omit<Partial<AccessQuestion>, 'facts'> & { facts?: Partial<Facts> } = {},
): AccessQuestion {
  return {
    user: 'ana',
    target: { resource: 'db-replica', role: 'read' },
    durationSeconds: 7200,
    hasReason: true,
    nowMs: NOW,
    ...over,
    facts: { ...noFacts, ...over.facts },
  };
}
