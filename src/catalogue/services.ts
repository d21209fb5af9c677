import type { Node } from 'yaml';
import { isName } from '../protocol/names.ts';
import { type Fields, readFields } from './fields.ts';
import { claimOutsideId, NAME_FORM, readNamed } from './people.ts';
import type { Names, Placed, Reader } from './read.ts';
import type { Schedule, Service } from './types.ts';

export function readServices(
  reader: Reader,
  node: Node | undefined,
  known: { schedules: ReadonlyMap<string, Schedule>; sources: Names; bundles: Names },
): Map<string, Service> {
  const services = new Map<string, Service>();
  const taken = new Map<string, string>();
  for (const { key, value } of readNamed(reader, node, 'services', isName, NAME_FORM)) {
    const fields = readFields(reader, value, `services.${key.value}`, ['schedules', 'bundle', 'ids']);
    if (fields === undefined) continue;
    const covering = fields.texts('schedules');
    for (const schedule of covering) reader.existing(schedule, 'schedule', known.schedules);
    const ids = readIds(fields, known.sources);
    for (const [source, places] of Object.entries(ids)) {
      for (const id of places) claimOutsideId(reader, taken, key.value, source, id);
    }
    services.set(key.value, {
      id: key.value,
      schedules: covering.map((schedule) => schedule.value),
      bundle: fields.reference('bundle', 'bundle', known.bundles)?.value,
      ids: withoutNodes(ids),
    });
  }
  return services;
}

function readIds(fields: Fields, sources: Names): Record<string, Placed<string>[]> {
  const { reader } = fields;
  const ids: Record<string, Placed<string>[]> = Object.create(null);
  fields.optional('ids', (node, path) => {
    for (const { key, value } of reader.entries(node, path) ?? []) {
      if (!reader.existing(key, 'source', sources)) continue;
      ids[key.value] = reader.oneOrMore(value).flatMap((item) => {
        const id = reader.text(item, `${path}.${key.value}`);
        return id === undefined ? [] : [{ value: id, node: item }];
      });
    }
    return ids;
  });
  return ids;
}

function withoutNodes(ids: Readonly<Record<string, readonly Placed<string>[]>>): Record<string, string[]> {
  const plain: Record<string, string[]> = Object.create(null);
  for (const [source, places] of Object.entries(ids)) {
    plain[source] = [...new Set(places.map(({ value }) => value))];
  }
  return plain;
}
