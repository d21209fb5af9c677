/** Where tools look, under the run folder: a folder for each grant or opened pack, and beside them files joined over all grants. */
import { join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import type { ClientPaths } from './paths.ts';

/** `gr_…` of a grant, `bg_…` of a pack that was opened. */
const HELD_ID = /^(gr|bg)_[0-9a-hjkmnp-tv-z]{19}$/;

/** Ids become file names: nothing else than an id may. Throws AppError `invalid_request`. */
export function grantFolder({ runDir }: ClientPaths, heldId: string): string {
  if (!HELD_ID.test(heldId))
    throw new AppError('invalid_request', 'not the id of a grant', { hint: 'oncall grants' });
  return join(runDir, 'grants', heldId);
}

export function joinedFile({ runDir }: ClientPaths, name: string): string {
  return join(runDir, name);
}
