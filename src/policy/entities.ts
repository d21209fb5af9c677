/** From a question to what Cedar is asked: only the entities that the question touches, facts without their surprises. */
import type { Person, Resource } from '../catalogue/types.ts';
import { formatTarget } from '../protocol/names.ts';
import { type CedarValueJson, type Context, datetime, type EntityJson, type TypeAndId } from './cedar.ts';
import type { Fact, Facts } from './policy.ts';
import { INSTALLATION } from './schema.ts';

/** A fact of which nothing is known is older than any rule's limit. */
const FOREVER = Number.MAX_SAFE_INTEGER;

/** What stands in for a value that is not known, whatever came with it. No loaded rule hangs on it: see lint.ts. */
const NEUTRAL: { [Name in keyof Facts]: Facts[Name]['value'] } = {
  shift: { onCall: false, level: 0, schedules: [], positions: [], coversResource: false },
  incident: {
    id: '',
    open: false,
    priority: '',
    service: '',
    source: '',
    declaredBy: '',
    byBeneficiary: true,
    matchesResource: false,
    trusted: false,
    confirmed: false,
  },
  device: { id: '', keystore: 'file', enrolledSeconds: 0 },
  risk: { score: FOREVER },
  presence: { method: 'none' },
};

export function userEntity(person: Person): EntityJson {
  return {
    uid: { type: 'User', id: person.id },
    attrs: { groups: [...person.groups] },
    parents: person.groups.map((id) => ({ type: 'Group', id })),
  };
}

/** The entity that a question is about, and with it what it lies in. */
export function subjectEntities(
  resource: Resource | undefined,
  role: string | undefined,
): { uid: TypeAndId; entities: EntityJson[] } {
  if (resource === undefined) {
    const uid = { type: 'Installation', id: INSTALLATION };
    return { uid, entities: [{ uid, attrs: {}, parents: [] }] };
  }
  const { service, environment, sensitivity } = resource;
  const shared = { service, environment, sensitivity, kind: resource.target.kind };
  const whole: EntityJson = {
    uid: { type: 'Resource', id: resource.id },
    attrs: { name: resource.id, ...shared },
    parents: [],
  };
  if (role === undefined || !resource.roles.includes(role)) {
    return { uid: { type: 'Resource', id: resource.id }, entities: [whole] };
  }
  const uid = { type: 'Role', id: formatTarget({ resource: resource.id, role }) };
  const attrs = {
    name: role,
    rank: resource.roles.indexOf(role),
    resourceName: resource.id,
    ...shared,
    defaultSeconds: resource.session.defaultSeconds,
    maxSeconds: resource.session.maxSeconds,
  };
  return { uid, entities: [{ uid, attrs, parents: [whole.uid] }, whole] };
}

export interface Circumstances {
  facts: Facts;
  nowMs: number;
  durationSeconds: number;
  hasReason: boolean;
  /** Whose access it is about, where somebody else acts. */
  beneficiary: string | undefined;
}

/** The members of `context`; the schema says what each holds. */
const CONTEXT = {
  shift: ({ facts }: Circumstances) =>
    fact(facts.shift, NEUTRAL.shift, ({ onCall, level, schedules, positions, coversResource }) => ({
      onCall,
      level: long(level),
      schedules: schedules.map(text),
      positions: positions.map(text),
      coversResource,
    })),
  incident: ({ facts }: Circumstances) =>
    fact(facts.incident, NEUTRAL.incident, (value) => ({
      id: text(value.id),
      open: value.open,
      priority: text(value.priority),
      service: text(value.service),
      source: text(value.source),
      declaredBy: text(value.declaredBy),
      byBeneficiary: value.byBeneficiary,
      matchesResource: value.matchesResource,
      trusted: value.trusted,
      confirmed: value.confirmed,
    })),
  device: ({ facts }: Circumstances) =>
    fact(facts.device, NEUTRAL.device, ({ id, keystore, enrolledSeconds }) => ({
      id: text(id),
      keystore: text(keystore),
      enrolledSeconds: long(enrolledSeconds),
    })),
  risk: ({ facts }: Circumstances) => fact(facts.risk, NEUTRAL.risk, ({ score }) => ({ score: long(score) })),
  presence: ({ facts }: Circumstances) =>
    fact(facts.presence, NEUTRAL.presence, ({ method }) => ({ method: text(method) })),
  beneficiary: ({ beneficiary }: Circumstances): CedarValueJson => ({
    known: beneficiary !== undefined,
    value: { __entity: { type: 'User', id: beneficiary ?? '' } },
    source: 'request',
    ageSeconds: beneficiary === undefined ? FOREVER : 0,
  }),
  request: ({ durationSeconds, hasReason }: Circumstances): CedarValueJson => ({
    durationSeconds: long(durationSeconds),
    hasReason,
  }),
  now: ({ nowMs }: Circumstances) => datetime(nowMs),
} satisfies Record<string, (asked: Circumstances) => CedarValueJson>;

export type ContextMember = keyof typeof CONTEXT;

/**
 * The members of `context` whose names occur in these policies. Handing Cedar the others would cost more than deciding
 * does. A rule that reads one under an escaped name finds it missing, which is an error, which denies.
 */
export function mentionedMembers(texts: readonly string[]): ContextMember[] {
  const members = Object.keys(CONTEXT) as ContextMember[];
  return members.filter((member) => texts.some((text) => text.includes(member)));
}

/** Attacker-controlled text stays text: every member is written out, none is copied whole. */
export function buildContext(members: readonly ContextMember[], asked: Circumstances): Context {
  return Object.fromEntries(members.map((member) => [member, CONTEXT[member](asked)]));
}

function fact<T>(given: Fact<T>, neutral: T, write: (value: T) => CedarValueJson): CedarValueJson {
  const { known, value, source, ageSeconds } = given;
  return {
    known,
    value: write(known ? value : neutral),
    source: text(source),
    ageSeconds: known ? long(ageSeconds) : FOREVER,
  };
}

/** An object here could read as an entity, and text compares unequal to an entity without an error. */
function text(value: string): string {
  if (typeof value !== 'string') throw new TypeError('a fact holds something that is not text');
  return value;
}

/** Cedar counts in whole numbers. Rounded up, so that nothing becomes younger, shorter or less risky than it is. */
function long(value: number): number {
  if (Number.isNaN(value)) throw new RangeError('a fact holds something that is not a number');
  return Math.min(FOREVER, Math.max(-FOREVER, Math.ceil(value)));
}
