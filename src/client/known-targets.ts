/** Which targets this device has held, and what tools call them: names alone, so that a tool can say how to get them again. */
import { isName, isPartName } from '../protocol/names.ts';
import { TARGET_KINDS } from '../protocol/target-kinds.ts';
import type { HeldCredential } from './credentials.ts';
import { readSafeFile } from './files.ts';
import type { ClientPaths } from './paths.ts';
import type { KnownTarget } from './targets/client-target.ts';
import { clientTarget } from './targets/kinds.ts';
import { writeFiles } from './write-files.ts';

/** Beyond these, the oldest are forgotten: a catalogue from outside must not fill the disk. */
const [MAX_TARGETS, MAX_NAMES] = [500, 1_000];

/** Newest first. What is damaged is begun anew: it only serves hints. */
export function readKnownTargets(paths: ClientPaths): KnownTarget[] {
  try {
    const value: unknown = JSON.parse(readSafeFile(paths.knownTargetsFile)?.toString('utf8') ?? '[]');
    return Array.isArray(value) ? value.filter(isKnownTarget) : [];
  } catch (error) {
    if (error instanceof SyntaxError) return [];
    throw error;
  }
}

/** Writes what is new in these. The caller holds `paths.holdLock`. */
export async function rememberTargets(
  paths: ClientPaths,
  credentials: readonly HeldCredential[],
): Promise<void> {
  const before = readKnownTargets(paths);
  const held = credentials.map(knownTarget).filter(isKnownTarget);
  if (held.every((one) => before.some((other) => JSON.stringify(other) === JSON.stringify(one)))) return;
  const others = before.filter((other) => !held.some((one) => isSame(one, other)));
  const data = `${JSON.stringify([...held, ...others].slice(0, MAX_TARGETS))}\n`;
  await writeFiles([{ path: paths.knownTargetsFile, data, isCopy: true }]);
}

function knownTarget({ publicPart, target }: HeldCredential): KnownTarget {
  const names = clientTarget(publicPart.kind).toolNames?.(publicPart) ?? [];
  const { resource, role } = target;
  return { kind: publicPart.kind, resource, role, names: names.filter(isName).slice(0, MAX_NAMES) };
}

function isSame(one: KnownTarget, other: KnownTarget): boolean {
  return one.resource === other.resource && one.role === other.role;
}

/** Attacker-controlled: the names come out of a broker's answers, and end in the files of tools. */
function isKnownTarget(value: unknown): value is KnownTarget {
  const { kind, resource, role, names } = (value ?? {}) as Record<string, unknown>;
  const isPart = (name: unknown) => typeof name === 'string' && isPartName(name);
  return (
    TARGET_KINDS.some((known) => known === kind) &&
    isPart(resource) &&
    isPart(role) &&
    Array.isArray(names) &&
    names.every((name) => typeof name === 'string' && isName(name))
  );
}
