import { DateTime, IANAZone } from 'luxon';
import type { Node } from 'yaml';
import { isName } from '../protocol/names.ts';
import { readFeeds } from './feeds.ts';
import { type Fields, readFields } from './fields.ts';
import { NAME_FORM, readNamed } from './people.ts';
import { MAX_LEVEL } from './positions.ts';
import type { Names, Placed, Reader } from './read.ts';
import type { Rotation, Schedule, ScheduleOverride, Source } from './types.ts';

const LOCAL_TIME = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}$/;
const DAY_SECONDS = 86_400;
const WRITTEN_HERE = ['timeZone', 'rotations', 'overrides'];
/** Outside systems tell instants, not local times. */
const OUTSIDE_ZONE = 'Etc/UTC';

export function readSchedules(
  reader: Reader,
  node: Node | undefined,
  known: { people: Names; sources: ReadonlyMap<string, Source>; sourceNames: Names },
): Map<string, Schedule> {
  const schedules = new Map<string, Schedule>();
  for (const { key, value } of readNamed(reader, node, 'schedules', isName, NAME_FORM)) {
    const path = `schedules.${key.value}`;
    const fields = readFields(reader, value, path, [...WRITTEN_HERE, 'from']);
    if (fields === undefined) continue;
    const schedule = fields.has('from') ? readOutside(fields, known) : readWritten(fields, known.people);
    if (schedule !== undefined) schedules.set(key.value, { id: key.value, ...schedule });
  }
  return schedules;
}

function readOutside(
  fields: Fields,
  known: { sources: ReadonlyMap<string, Source>; sourceNames: Names },
): Omit<Schedule, 'id'> {
  if (WRITTEN_HERE.some((key) => fields.has(key))) {
    fields.reader.error(
      fields.node,
      `${fields.path} is both written here and read from outside`,
      `keep from, or ${WRITTEN_HERE.join(', ')}`,
    );
  }
  const feeds = readFeeds(fields, known.sources, known.sourceNames);
  return { timeZone: OUTSIDE_ZONE, rotations: [], overrides: [], feeds };
}

function readWritten(fields: Fields, people: Names): Omit<Schedule, 'id'> | undefined {
  const timeZone = readTimeZone(fields);
  if (timeZone === undefined) return undefined;
  const rotations = readRotations(fields, timeZone, people);
  return { timeZone, rotations, overrides: readOverrides(fields, timeZone, people, rotations), feeds: [] };
}

function readTimeZone(fields: Fields): string | undefined {
  const zone = fields.requiredText('timeZone');
  if (zone === undefined || IANAZone.isValidZone(zone.value)) return zone?.value;
  fields.reader.existing(zone, 'time zone', new Set(Intl.supportedValuesOf('timeZone')));
  return undefined;
}

function readRotations(fields: Fields, timeZone: string, people: Names): Rotation[] {
  const { reader } = fields;
  const items = fields.required('rotations', (node, path) => reader.list(node, path));
  if (items?.value.length === 0) reader.error(items.node, `${fields.path}.rotations is empty`);
  const rotations: Rotation[] = [];
  for (const item of items?.value ?? []) {
    const path = `${fields.path}.rotations`;
    const rotation = readFields(reader, item, path, ['level', 'people', 'startsAt', 'every']);
    if (rotation === undefined) continue;
    const level = rotation.required('level', (node, at) => reader.integer(node, at, 1, MAX_LEVEL));
    const members = rotation.texts('people');
    if (members.length === 0)
      reader.error(item, `${path} has a rotation without people`, 'add people: [NAME, NAME]');
    for (const member of members) reader.existing(member, 'person', people);
    const startsAt = readLocalTime(rotation, 'startsAt', timeZone);
    const lengthDays = readDays(rotation);
    if (level !== undefined && rotations.some((other) => other.level === level.value)) {
      reader.error(
        level.node,
        `${fields.path} has two rotations at level ${level.value}`,
        'give each its own level',
      );
    }
    if (level === undefined || startsAt === undefined || lengthDays === undefined) continue;
    rotations.push({
      level: level.value,
      people: members.map((member) => member.value),
      startsAt: startsAt.value.text,
      lengthDays,
    });
  }
  return rotations;
}

function readDays(rotation: Fields): number | undefined {
  const every = rotation.required('every', (node, path) => rotation.reader.duration(node, path));
  if (every === undefined) return undefined;
  // Turns are counted in local days, so that handover stays at the same time of day across daylight saving.
  if (every.value % DAY_SECONDS === 0) return every.value / DAY_SECONDS;
  return rotation.reader.error(
    every.node,
    `${rotation.path}.every must be whole days`,
    'write it as 1d or 7d',
  );
}

function readOverrides(
  fields: Fields,
  timeZone: string,
  people: Names,
  rotations: readonly Rotation[],
): ScheduleOverride[] {
  const { reader } = fields;
  const overrides: ScheduleOverride[] = [];
  for (const item of fields.optional('overrides', (node, path) => reader.list(node, path))?.value ?? []) {
    const path = `${fields.path}.overrides`;
    const override = readFields(reader, item, path, ['level', 'user', 'startsAt', 'endsAt']);
    if (override === undefined) continue;
    const level = override.required('level', (node, at) => reader.integer(node, at, 1, MAX_LEVEL));
    const user = override.requiredText('user');
    if (user !== undefined) reader.existing(user, 'person', people);
    const startsAt = readLocalTime(override, 'startsAt', timeZone);
    const endsAt = readLocalTime(override, 'endsAt', timeZone);
    if (!level || !user || !startsAt || !endsAt) continue;
    const span = { startsAtMs: startsAt.value.ms, endsAtMs: endsAt.value.ms };
    if (span.endsAtMs <= span.startsAtMs)
      reader.error(endsAt.node, `${path} has an end that is not after its start`);
    if (!rotations.some((rotation) => rotation.level === level.value)) {
      reader.error(level.node, `${fields.path} has no rotation at level ${level.value} to override`);
    }
    const clash = overrides.some(
      (other) =>
        other.level === level.value && other.startsAtMs < span.endsAtMs && span.startsAtMs < other.endsAtMs,
    );
    if (clash)
      reader.error(startsAt.node, `${path} has two overrides of level ${level.value} at the same time`);
    overrides.push({ level: level.value, user: user.value, ...span });
  }
  return overrides;
}

function readLocalTime(
  fields: Fields,
  key: string,
  timeZone: string,
): Placed<{ text: string; ms: number }> | undefined {
  const { reader } = fields;
  return fields.required(key, (node, path) => {
    const text = reader.text(node, path);
    if (text === undefined) return undefined;
    const time = LOCAL_TIME.test(text) ? DateTime.fromISO(text, { zone: timeZone }) : undefined;
    if (time?.isValid) return { text, ms: time.toMillis() };
    return reader.error(node, `${path} is not a local date and time`, 'write it as 2026-01-05T09:00');
  });
}
