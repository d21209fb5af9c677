declare const ONCALL_VERSION: string | undefined;

/** Set by the build; source run directly (tests) has none. */
export const version = typeof ONCALL_VERSION === 'string' ? ONCALL_VERSION : '0.0.0-source';

/** In every reply of a broker: its version, for words to people. Nothing is decided by it, so nothing proves it. */
export const VERSION_HEADER = 'oncall-version';

/**
 * Below 0 where `one` is older than `other`, 0 where they are the same release, above 0 where it is newer; pre-releases are
 * not told apart. Undefined for what is no version (semver.org), and for a build that has none: 0.0.0.
 */
export function compareVersions(one: string, other: string): number | undefined {
  const [a, b] = [partsOf(one), partsOf(other)];
  if (a === undefined || b === undefined) return undefined;
  return a.map((part, index) => part - (b[index] ?? 0)).find((difference) => difference !== 0) ?? 0;
}

function partsOf(text: string): number[] | undefined {
  const match = /^(\d{1,6})\.(\d{1,6})\.(\d{1,6})(?:[-+][0-9A-Za-z.+-]{1,64})?$/.exec(text);
  const parts = match?.slice(1, 4).map(Number);
  return parts?.some((part) => part > 0) ? parts : undefined;
}
