/** What to say where the broker is of another version than we are: which side is the older one, and what updates it. */
import { compareVersions, version } from '../protocol/version.ts';

export interface VersionGap {
  readonly older: 'broker' | 'client';
  /** Lower case, no full stop; for a person. */
  readonly words: string;
  /** What updates the older side. */
  readonly fix: string;
}

/** Undefined where both are the same release, or one of them does not say. `theirs` is attacker-controlled. */
export function gapTo(theirs: string | undefined, ours = version): VersionGap | undefined {
  const difference = theirs === undefined ? undefined : compareVersions(theirs, ours);
  if (theirs === undefined || difference === undefined || difference === 0) return undefined;
  const words = `the broker runs oncall ${theirs}, this is ${ours}`;
  return difference < 0
    ? { older: 'broker', words, fix: `update the broker, on its host: ${installLine(ours)}` }
    : { older: 'client', words, fix: `update this machine: ${installLine(theirs)}` };
}

/** One line of both, as a hint. */
export function versionHint(theirs: string | undefined): string | undefined {
  const gap = gapTo(theirs);
  return gap && `${gap.words}; ${gap.fix}`;
}

function installLine(wanted: string): string {
  return `npm install --global --ignore-scripts oncall@${wanted}`;
}
