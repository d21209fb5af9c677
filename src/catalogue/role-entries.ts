import type { Node } from 'yaml';
import { isPartName } from '../protocol/names.ts';
import { type Fields, readFields } from './fields.ts';
import { PART_FORM, readNamed } from './people.ts';
import type { Placed } from './read.ts';

/** `roles` of any kind of resource, in the order written: narrowest first. */
export function readRoleEntries<T>(
  fields: Fields,
  keys: readonly string[],
  read: (role: Fields) => T | undefined,
): Map<string, T> | undefined {
  const { reader } = fields;
  const roles: Placed<Node> | undefined = fields.required('roles', (node) => node);
  if (roles === undefined) return undefined;
  const path = `${fields.path}.roles`;
  const found = new Map<string, T>();
  for (const { key, value } of readNamed(reader, roles.node, path, isPartName, PART_FORM)) {
    const role = readFields(reader, value, `${path}.${key.value}`, keys);
    const settings = role && read(role);
    if (settings !== undefined) found.set(key.value, settings);
  }
  return found.size > 0
    ? found
    : reader.error(roles.node, `${path} has no role`, 'add one, e.g. read: { … }');
}
