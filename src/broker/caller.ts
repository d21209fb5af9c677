import type { Person } from '../catalogue/types.ts';
import type { DeviceRow } from '../store/rows.ts';
import type { Actor, EmbeddedRequest } from './audit-log.ts';

/** Who stands behind an authenticated request. */
export interface Caller {
  person: Person;
  device: DeviceRow;
  /** The signed request itself, for the audit log. */
  embedded: EmbeddedRequest;
}

export function actorOf({ person, device }: Pick<Caller, 'person' | 'device'>): Actor {
  return { kind: 'user', id: person.id, device: device.id };
}
