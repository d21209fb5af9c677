/** A role on a resource. */
import type { Static } from '@sinclair/typebox';
import { PartName, strict } from '../schema.ts';

export const Target = strict({ resource: PartName, role: PartName });
export type Target = Static<typeof Target>;
