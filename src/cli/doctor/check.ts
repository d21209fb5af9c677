/**
 * What `oncall doctor` asks of one thing. A check is one file in this folder, listed in checks.ts; it says what it found, what to
 * type about it, and, where that is safe, how it can be mended. Rules:
 *
 *  1. A check stands for itself: what it throws is its own finding, and never that of another. What it needs from others (the
 *     configuration, the broker's answer) it takes from the facts; where that failed it says so, and who reports why.
 *  2. Everything that waits for somebody else has an end by itself.
 *  3. What is not well has something to type.
 *  4. Nobody is called but the broker of the profile that was asked about.
 *  5. Mending touches what is ours and can be had again: never keys, never what somebody has edited.
 */
import type { Fact, Facts } from './facts.ts';

/** `warn`: it works, or cannot be known now. `fail`: something that people do does not work. */
export type Level = 'ok' | 'warn' | 'fail';

export interface Well {
  readonly level: 'ok';
  /** Lower case, no full stop. May come from outside: escaped when it is written. */
  readonly says: string;
}

export interface Unwell {
  readonly level: 'warn' | 'fail';
  readonly says: string;
  /** What to type about it. */
  readonly fix: string;
  /** Why it could not be checked: another check reports that. */
  readonly missing?: string;
  /** What `--fix` does about it; says what was done. Run once; the check is made anew afterwards. */
  readonly mend?: () => Promise<string>;
}

export type Finding = Well | Unwell;

export interface Check {
  /** One word: the line's name. */
  readonly name: string;
  /** The fact that this check reports the failure of: to all the others it is only missing. */
  readonly reports?: Fact;
  look(facts: Facts): Promise<readonly Finding[]> | readonly Finding[];
}

export const well = (says: string): Well => ({ level: 'ok', says });
export const warned = (says: string, fix: string, mend?: Unwell['mend']): Unwell => ({
  ...{ level: 'warn', says, fix },
  ...(mend && { mend }),
});
export const failed = (says: string, fix: string, mend?: Unwell['mend']): Unwell => ({
  ...{ level: 'fail', says, fix },
  ...(mend && { mend }),
});

/** As a shell takes it for one word. */
export function quotedPath(path: string): string {
  return /^[A-Za-z0-9_./@+-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`;
}
