import type { AccessAction, AdminAction } from './policy.ts';

export const ACCESS_ACTIONS = [
  'grant',
  'ask',
  'break-glass',
  'renew',
  'extend',
  'auto-override',
] as const satisfies readonly AccessAction[];

export const ADMIN_ACTIONS = [
  'invite',
  'manage-device',
  'declare-incident',
  'resolve-incident',
  'revoke',
  'read-audit',
  'read-grants',
  'lock',
  'unlock',
  'review',
  'rotate',
  'reload',
] as const satisfies readonly Exclude<AdminAction, 'approve'>[];

/** What rules may read of a fact that is not known: known, value, source and ageSeconds are always there. */
export const FACTS = ['shift', 'incident', 'device', 'risk', 'presence', 'beneficiary'] as const;
export type FactName = (typeof FACTS)[number];

/** The one entity of type Installation: administrative actions that are about no resource are about this. */
export const INSTALLATION = 'oncall';

const quoted = (actions: readonly string[]) => actions.map((action) => `"${action}"`).join(', ');

/**
 * The Cedar schema that policies are validated against. A Role carries its resource's attributes, so that rules read
 * `resource.environment`; its id is `resource:role`, and it is `in` its Resource.
 */
export const SCHEMA = `
entity Group;
entity User in [Group] { groups: Set<String> };
entity Resource { name: String, service: String, environment: String, sensitivity: String, kind: String };
entity Role in [Resource] {
  name: String, rank: Long, resourceName: String,
  service: String, environment: String, sensitivity: String, kind: String,
  defaultSeconds: Long, maxSeconds: Long
};
entity Installation;

type Shift = {
  onCall: Bool, level: Long, schedules: Set<String>, positions: Set<String>, coversResource: Bool
};
type Incident = {
  id: String, open: Bool, priority: String, service: String, source: String, declaredBy: String,
  byBeneficiary: Bool, matchesResource: Bool, trusted: Bool, confirmed: Bool
};
type Device = { id: String, keystore: String, enrolledSeconds: Long };

type Facts = {
  shift: { known: Bool, value: Shift, source: String, ageSeconds: Long },
  incident: { known: Bool, value: Incident, source: String, ageSeconds: Long },
  device: { known: Bool, value: Device, source: String, ageSeconds: Long },
  risk: { known: Bool, value: { score: Long }, source: String, ageSeconds: Long },
  presence: { known: Bool, value: { method: String }, source: String, ageSeconds: Long },
  beneficiary: { known: Bool, value: User, source: String, ageSeconds: Long },
  request: { durationSeconds: Long, hasReason: Bool },
  now: datetime
};

action ${quoted(ACCESS_ACTIONS)}, "approve"
  appliesTo { principal: User, resource: Role, context: Facts };
action ${quoted(ADMIN_ACTIONS)}
  appliesTo { principal: User, resource: [Role, Resource, Installation], context: Facts };
`;
