import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { inject } from 'vitest';
import type { PartName } from './machine-parts.ts';

/**
 * Whether the machine has this part: `describe.skipIf(!part('sshd'))`. What is asked for and missing is named in the last
 * lines of the run; with CI=true the run has already failed.
 */
export function part(name: PartName): boolean {
  const missing = inject('missingParts')[name] !== undefined || (name === 'postgres' && !inject('postgres'));
  if (missing) writeFileSync(join(inject('runFolder'), 'skipped', name), '');
  return !missing;
}

/** For what cannot do without the part: throws, saying how to get it. */
export function requirePart(name: PartName): void {
  if (!part(name))
    throw new Error(`${name} is missing here: ${inject('missingParts')[name] ?? 'switched off'}`);
}
