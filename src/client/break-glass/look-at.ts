/** When this device is to look for packs again: a small file, read by every command, written by whoever has looked. */
import { join } from 'node:path';
import { formatInstant } from '../../protocol/time.ts';
import type { ClientContext } from '../context.ts';
import { readSafeFile, removePath } from '../files.ts';
import { writeFiles } from '../write-files.ts';

type Place = Pick<ClientContext, 'paths' | 'now'>;

/** How often the plan is looked at, and how soon again after a failure. */
export const [LOOK_EVERY_MS, AFTER_FAILURE_MS] = [30 * 60_000, 5 * 60_000];

/** Milliseconds since 1970 by this device's clock; not in the future where nobody has looked yet. */
export function packsDueAt({ paths, now }: Place): number {
  const at = Date.parse(readSafeFile(lookFile(paths))?.toString('utf8').trim() ?? '');
  // Further away than it is ever set: the clock was set back since, or it is damaged.
  return at - now() <= LOOK_EVERY_MS ? at : now();
}

/** Something may have changed in what this device should have. */
export function lookAtOnce({ paths }: Pick<Place, 'paths'>): void {
  removePath(lookFile(paths));
}

export async function lookAgainIn({ paths, now }: Place, ms: number): Promise<void> {
  await writeFiles([{ path: lookFile(paths), data: `${formatInstant(now() + ms)}\n`, isCopy: true }]);
}

function lookFile({ breakGlassDir }: Place['paths']): string {
  return join(breakGlassDir, 'look-at');
}
