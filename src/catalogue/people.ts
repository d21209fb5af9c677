import type { Node } from 'yaml';
import { isName } from '../protocol/names.ts';
import { readFields } from './fields.ts';
import { nearest } from './nearest.ts';
import { type Names, type Placed, quote, type Reader } from './read.ts';
import type { Person } from './types.ts';

const EMAIL = /^[^\s@<>"]{1,64}@[A-Za-z0-9.-]{1,190}$/;
export const NAME_FORM = 'a name: letters, digits and . _ @ / + - without spaces';
export const PART_FORM = 'a name: small letters, digits and -, at most 40';

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
    if (isRight(key.value)) {
      reader.mark(`${path}.${key.value}`, key.node);
      return true;
    }
    reader.error(key.node, `${quote(key.value)} in ${path} is not ${form}`);
    return false;
  });
}

/** `sources` are the names that `ids` may use; where there is none yet, any will do. */
export function readPeople(
  reader: Reader,
  node: Node | undefined,
  groups: ReadonlySet<string>,
  sources: Names,
): Map<string, Person> {
  const entries = readNamed(reader, node, 'people', isName, NAME_FORM);
  const known = new Set(entries.map(({ key }) => key.value));
  const people = new Map<string, Person>();
  const taken = new Map<string, string>();
  const strangers = new Set<string>();
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
    const ids = fields.optional('ids', (at, idsPath) =>
      readOutsideIds(reader, at, idsPath, sources, strangers),
    );
    for (const [source, id] of Object.entries(ids?.value ?? {})) {
      claimOutsideId(reader, taken, key.value, source, id);
    }
    people.set(key.value, {
      id: key.value,
      name: fields.text('name')?.value ?? key.value,
      email: fields.matching('email', isEmail, 'an e-mail address')?.value,
      groups: [...new Set(member.map((group) => group.value))],
      manager: manager?.value,
      ids: withoutNodes(ids?.value ?? {}),
    });
  }
  return people;
}

export function isEmail(text: string): boolean {
  return EMAIL.test(text);
}

function readOutsideIds(
  reader: Reader,
  node: Node,
  path: string,
  sources: Names,
  strangers: Set<string>,
): Record<string, Placed<string>> {
  const ids: Record<string, Placed<string>> = Object.create(null);
  for (const { key, value } of readNamed(reader, node, path, isName, NAME_FORM)) {
    if (sources.size > 0 && !sources.has(key.value) && !strangers.has(key.value)) {
      // Said once, not of everybody who has one.
      strangers.add(key.value);
      const guess = nearest(key.value, sources.keys());
      const hint =
        guess === undefined ? `sources: ${[...sources.keys()].join(', ')}` : `did you mean ${guess}?`;
      reader.warn(key.node, `${path} has an id for ${quote(key.value)}, which is no source`, hint);
    }
    const id = reader.text(value, `${path}.${key.value}`);
    if (id !== undefined) ids[key.value] = { value: id, node: value };
  }
  return ids;
}

/**
 * One outside id means one thing: what the source says about it must not become true of two. `taken` remembers who has which;
 * `owner` is who has this one.
 */
export function claimOutsideId(
  reader: Reader,
  taken: Map<string, string>,
  owner: string,
  source: string,
  id: Placed<string>,
): void {
  const claim = JSON.stringify([source, id.value]);
  const other = taken.get(claim);
  if (other === undefined) taken.set(claim, owner);
  else if (other !== owner) {
    reader.error(id.node, `${other} has the id ${quote(id.value)} at ${source} already`, 'keep one of them');
  }
}

function withoutNodes(ids: Readonly<Record<string, Placed<string>>>): Record<string, string> {
  const plain: Record<string, string> = Object.create(null);
  for (const [source, { value }] of Object.entries(ids)) plain[source] = value;
  return plain;
}
