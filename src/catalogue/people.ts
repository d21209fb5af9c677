import type { Node } from 'yaml';
import { isName } from '../protocol/names.ts';
import { readFields } from './fields.ts';
import type { Placed, Reader } from './read.ts';
import { quote } from './read.ts';
import type { ApprovalChain, Approver, Person } from './types.ts';

const EMAIL = /^[^\s@<>"]{1,64}@[A-Za-z0-9.-]{1,190}$/;
export const NAME_FORM = 'a name: letters, digits and . _ @ / + - without spaces';
const DEFAULT_CHAIN_SECONDS = 3600;

/** A list of names that may each appear once. */
export function readNames(reader: Reader, node: Node | undefined, path: string): Set<string> {
  const names = new Set<string>();
  for (const item of (node && reader.list(node, path)) ?? []) {
    const name = reader.text(item, path);
    if (name === undefined) continue;
    if (!isName(name)) reader.error(item, `${quote(name)} in ${path} is not ${NAME_FORM}`);
    else if (names.has(name)) reader.error(item, `${quote(name)} is written twice in ${path}`);
    else names.add(name);
  }
  return names;
}

/** The entries of a section whose keys must be names; those with bad keys are left out after a finding. */
export function readNamed(
  reader: Reader,
  node: Node | undefined,
  path: string,
  isRight: (name: string) => boolean,
  form: string,
): { key: Placed<string>; value: Node }[] {
  return ((node && reader.entries(node, path)) ?? []).filter(({ key }) => {
    if (isRight(key.value)) return true;
    reader.error(key.node, `${quote(key.value)} in ${path} is not ${form}`);
    return false;
  });
}

export function readPeople(
  reader: Reader,
  node: Node | undefined,
  groups: ReadonlySet<string>,
): Map<string, Person> {
  const entries = readNamed(reader, node, 'people', isName, NAME_FORM);
  const known = entries.map(({ key }) => key.value);
  const people = new Map<string, Person>();
  for (const { key, value } of entries) {
    const path = `people.${key.value}`;
    const fields = readFields(reader, value, path, ['name', 'email', 'groups', 'manager', 'ids']);
    if (fields === undefined) continue;
    const manager = fields.text('manager');
    if (manager !== undefined && reader.existing(manager, 'person', known) && manager.value === key.value) {
      reader.error(manager.node, `${path} is their own manager`);
    }
    const member = fields.texts('groups');
    for (const group of member) reader.existing(group, 'group', groups);
    people.set(key.value, {
      id: key.value,
      name: fields.text('name')?.value ?? key.value,
      email: fields.matching('email', (text) => EMAIL.test(text), 'an e-mail address')?.value,
      groups: [...new Set(member.map((group) => group.value))],
      manager: manager?.value,
      ids: fields.optional('ids', (ids, idsPath) => readOutsideIds(reader, ids, idsPath))?.value ?? {},
    });
  }
  return people;
}

function readOutsideIds(reader: Reader, node: Node, path: string): Record<string, string> {
  const ids: Record<string, string> = Object.create(null);
  for (const { key, value } of readNamed(reader, node, path, isName, NAME_FORM)) {
    const id = reader.text(value, `${path}.${key.value}`);
    if (id !== undefined) ids[key.value] = id;
  }
  return ids;
}

export function readChains(
  reader: Reader,
  node: Node | undefined,
  people: ReadonlyMap<string, Person>,
  groups: ReadonlySet<string>,
): Map<string, ApprovalChain> {
  const chains = new Map<string, ApprovalChain>();
  for (const { key, value } of readNamed(reader, node, 'approvals', isName, NAME_FORM)) {
    const path = `approvals.${key.value}`;
    const fields = readFields(reader, value, path, ['approvers', 'expires']);
    if (fields === undefined) continue;
    const approvers = fields.texts('approvers');
    if (approvers.length === 0)
      reader.error(value, `${path} has no approvers`, 'add approvers: [PERSON, group:GROUP]');
    const right = approvers.filter((approver) =>
      approver.value.startsWith('group:')
        ? reader.existing(
            { value: approver.value.slice('group:'.length), node: approver.node },
            'group',
            groups,
          )
        : reader.existing(approver, 'person', people.keys()),
    );
    const party = { approvers: right.map(({ value }) => approverOf(value)), need: 1 };
    const chain: ApprovalChain = {
      id: key.value,
      stages: [{ parties: [party], waitSeconds: undefined, otherwise: 'deny' }],
      expiresSeconds: fields.duration('expires')?.value ?? DEFAULT_CHAIN_SECONDS,
    };
    chains.set(key.value, chain);
    if (right.length === approvers.length && right.length > 0)
      warnOfDeadEnds(reader, key.node, chain, people);
  }
  return chains;
}

function approverOf(text: string): Approver {
  const [kind, id] = text.split(':');
  return kind === 'group' && id !== undefined ? { kind: 'group', id } : { kind: 'person', id: text };
}

/** Everybody that a chain names in any stage: the people, and the members of its groups. */
export function chainMembers(chain: ApprovalChain, people: ReadonlyMap<string, Person>): Set<string> {
  const members = new Set<string>();
  const approvers = chain.stages.flatMap(({ parties }) => parties.flatMap((party) => party.approvers));
  for (const approver of approvers) {
    if (approver.kind === 'person') members.add(approver.id);
    if (approver.kind !== 'group') continue;
    for (const person of people.values()) if (person.groups.includes(approver.id)) members.add(person.id);
  }
  return members;
}

function warnOfDeadEnds(
  reader: Reader,
  node: Node,
  chain: ApprovalChain,
  people: ReadonlyMap<string, Person>,
): void {
  const members = [...chainMembers(chain, people)];
  if (members.length === 0) {
    reader.warn(
      node,
      `nobody can approve on approvals.${chain.id}`,
      'name a person, or put one into the group',
    );
  } else if (members.length === 1) {
    reader.warn(
      node,
      `${members[0]} is the only approver on approvals.${chain.id}, and nobody approves their own request`,
      'name a second approver',
    );
  }
}
