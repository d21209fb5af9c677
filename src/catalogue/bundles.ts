import type { Node } from 'yaml';
import { formatTarget, isPartName, parseTarget, type TargetRef } from '../protocol/names.ts';
import { readFields } from './fields.ts';
import { PART_FORM, readNamed } from './people.ts';
import { type Placed, quote, type Reader } from './read.ts';
import type { Bundle, Resource } from './types.ts';

/** People type a bundle where they type a resource, so the two share their names. */
export function readBundles(
  reader: Reader,
  node: Node | undefined,
  resources: ReadonlyMap<string, Resource>,
): Map<string, Bundle> {
  const bundles = new Map<string, Bundle>();
  for (const { key, value } of readNamed(reader, node, 'bundles', isPartName, PART_FORM)) {
    const path = `bundles.${key.value}`;
    if (resources.has(key.value)) {
      reader.error(key.node, `there is a resource ${quote(key.value)} already`, 'choose another name');
    }
    const fields = readFields(reader, value, path, ['targets', 'description']);
    if (fields === undefined) continue;
    const places = fields.texts('targets');
    if (places.length === 0)
      reader.error(value, `${path} has no targets`, 'add targets: [RESOURCE, RESOURCE:ROLE]');
    const targets = new Map<string, TargetRef>();
    for (const place of places) {
      const target = resolve(reader, place, resources);
      if (target === undefined) continue;
      const name = formatTarget(target);
      if (targets.has(name))
        reader.error(place.node, `${name} is written twice in ${path}`, 'keep one of them');
      targets.set(name, target);
    }
    const description = fields.text('description')?.value;
    bundles.set(key.value, { id: key.value, description, targets: [...targets.values()] });
  }
  return bundles;
}

function resolve(
  reader: Reader,
  { value, node }: Placed<string>,
  resources: ReadonlyMap<string, Resource>,
): TargetRef | undefined {
  const target = parseTarget(value);
  if (target === undefined) {
    return reader.error(node, `${quote(value)} is no target`, 'write RESOURCE or RESOURCE:ROLE');
  }
  const { resource: name, role } = target;
  if (!reader.existing({ value: name, node }, 'resource', resources)) return undefined;
  const resource = resources.get(name);
  if (resource === undefined) return undefined;
  if (role === undefined) return { resource: name, role: resource.defaultRole };
  const exists = reader.existing({ value: role, node }, `role of ${name}`, new Set(resource.roles));
  return exists ? { resource: name, role } : undefined;
}
