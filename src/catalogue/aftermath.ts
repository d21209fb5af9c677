import type { Node } from 'yaml';
import { type Known, readApprovers } from './approvers.ts';
import { readFields } from './fields.ts';
import type { Reader } from './read.ts';
import type { Catalogue } from './types.ts';

const GRACE_SECONDS = 600;
const REVIEW_SECONDS = 72 * 3600;

/** How long what was opened stays after its reason has gone. */
export function readGrace(reader: Reader, node: Node | undefined): Catalogue['grace'] {
  const fields = node && readFields(reader, node, 'grace', ['incident', 'shift']);
  return {
    incidentSeconds: fields?.duration('incident')?.value ?? GRACE_SECONDS,
    shiftSeconds: fields?.duration('shift')?.value ?? GRACE_SECONDS,
  };
}

/** Who looks at what was opened without a yes, and by when. */
export function readReviews(reader: Reader, node: Node | undefined, known: Known): Catalogue['reviews'] {
  const fields = node && readFields(reader, node, 'reviews', ['owners', 'due']);
  return {
    owners: (fields?.has('owners') && readApprovers(fields, 'owners', known)) || [{ kind: 'manager' }],
    dueSeconds: fields?.duration('due')?.value ?? REVIEW_SECONDS,
  };
}
