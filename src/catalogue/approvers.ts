import { isName } from '../protocol/names.ts';
import type { Fields } from './fields.ts';
import { formatPosition, levelsOf } from './positions.ts';
import { type Placed, quote, type Reader } from './read.ts';
import type { Approver, Person, Schedule } from './types.ts';

/** What approvers may refer to. */
export interface Known {
  people: ReadonlyMap<string, Person>;
  groups: ReadonlySet<string>;
  schedules: ReadonlyMap<string, Schedule>;
}

const FORMS = 'write PERSON, group:GROUP, manager, or schedule:SCHEDULE level 1';

/** `ana`, `group:leads`, `manager`, `schedule:orders-primary level 1` (or without level). Undefined for anything else. */
export function parseApprover(text: string): Approver | undefined {
  if (text === 'manager') return { kind: 'manager' };
  const [, kind, id = text, level] = /^(?:(group|schedule):)?(\S+?)(?: level ([1-9]))?$/.exec(text) ?? [];
  if (!isName(id) || (level !== undefined && kind !== 'schedule')) return undefined;
  if (kind === 'schedule') return { kind, id, level: level === undefined ? undefined : Number(level) };
  return { kind: kind === 'group' ? kind : 'person', id };
}

/** As {@link parseApprover} reads it. */
export function formatApprover(approver: Approver): string {
  switch (approver.kind) {
    case 'person':
      return approver.id;
    case 'manager':
      return 'manager';
    case 'group':
      return `group:${approver.id}`;
    case 'schedule':
      return `schedule:${approver.level === undefined ? approver.id : formatPosition(approver.id, approver.level)}`;
  }
}

/** A list of approvers who all exist; undefined after a finding where it is empty or one does not. */
export function readApprovers(fields: Fields, key: string, known: Known): Approver[] | undefined {
  const { reader } = fields;
  const places = fields.texts(key);
  if (places.length === 0) {
    return reader.error(fields.node, `${fields.path} has no ${key}`, `add ${key}: [PERSON, group:GROUP]`);
  }
  const approvers = places.flatMap((place) => readApprover(reader, place, known) ?? []);
  return approvers.length === places.length ? approvers : undefined;
}

function readApprover(reader: Reader, { value, node }: Placed<string>, known: Known): Approver | undefined {
  const approver = parseApprover(value);
  if (approver === undefined) return reader.error(node, `${quote(value)} is no approver`, FORMS);
  switch (approver.kind) {
    case 'manager':
      if (!known.people.has('manager')) return approver;
      return reader.error(
        node,
        '"manager" means the requester\'s manager, and is a person here as well',
        'rename the person',
      );
    case 'person':
      return reader.existing({ value, node }, 'person', known.people) ? approver : undefined;
    case 'group':
      return reader.existing({ value: approver.id, node }, 'group', known.groups) ? approver : undefined;
    case 'schedule': {
      const { id, level } = approver;
      if (!reader.existing({ value: id, node }, 'schedule', known.schedules)) return undefined;
      const levels = levelsOf(known.schedules.get(id) ?? { rotations: [], feeds: [] });
      if (level === undefined || levels.length === 0 || levels.includes(level)) return approver;
      return reader.error(
        node,
        `nobody can be ${formatPosition(id, level)}`,
        `levels of ${id}: ${levels.join(', ')}`,
      );
    }
  }
}
