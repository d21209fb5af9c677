/** Where tools look, under the run folder: a folder for each grant, and beside them files joined over all grants. */
import { join } from 'node:path';
import { requireGrantId } from './credentials.ts';
import type { ClientPaths } from './paths.ts';

export function grantFolder({ runDir }: ClientPaths, grantId: string): string {
  return join(runDir, 'grants', requireGrantId(grantId));
}

export function joinedFile({ runDir }: ClientPaths, name: string): string {
  return join(runDir, name);
}
