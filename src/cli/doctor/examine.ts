/** Makes all checks, each for itself: whatever one meets with, the others are made and shown. */
import { isAppError } from '../../protocol/errors.ts';
import type { Context } from '../context.ts';
import { asAppError } from '../failure.ts';
import { withSpinner } from '../waiting.ts';
import { type Check, type Finding, failed, warned } from './check.ts';
import { createFacts, type Facts, NotChecked, secondHand } from './facts.ts';

export interface Examined {
  readonly check: string;
  readonly findings: readonly Finding[];
}

export interface Mended {
  readonly check: string;
  /** What was done. */
  readonly did: string;
}

/** What each check waits for has an end by itself; this is for what nobody has thought of. */
const LONGEST_MS = 30_000;

/** Throws AppError `interrupted`, and nothing else. */
export async function examine(
  context: Context,
  checks: readonly Check[],
  longestMs = LONGEST_MS,
): Promise<Examined[]> {
  const facts = createFacts(context);
  // Where it asks for a passphrase nothing else may be on the screen, and whoever types it has all the time.
  await facts.keys().catch((error: unknown) => {
    if (isAppError(error, 'interrupted')) throw error;
  });
  const all = Promise.all(checks.map((check) => makeOne(check, facts, longestMs)));
  return withSpinner(context.io, 'looking', all);
}

/** One thing mended may uncover another: a configuration that can be read again, and what it leads to. */
const ROUNDS = 3;

/** What can be mended is, and one that fails is a finding of its own; then all is looked at anew, with nothing known before. */
export async function mend(
  context: Context,
  checks: readonly Check[],
  before: readonly Examined[],
): Promise<{ examined: readonly Examined[]; mended: Mended[] }> {
  const mended: Mended[] = [];
  const complaints = new Map<string, Finding[]>();
  // The same may be what two of them need, and what did not help once is not tried again.
  const tried = new Set<string>();
  let examined = before;
  for (let round = 0; round < ROUNDS; round++) {
    const due = examined.flatMap(({ check, findings }) =>
      findings.flatMap((finding) => (finding.level === 'ok' ? [] : [{ check, finding }])),
    );
    let isTried = false;
    for (const { check, finding } of due) {
      if (finding.mend === undefined || tried.has(finding.fix)) continue;
      tried.add(finding.fix);
      isTried = true;
      try {
        mended.push({ check, did: await finding.mend() });
      } catch (error) {
        if (isAppError(error, 'interrupted')) throw error;
        const { message, hint } = asAppError(error);
        const complaint = failed(`cannot be mended: ${message}`, hint ?? finding.fix);
        complaints.set(check, [...(complaints.get(check) ?? []), complaint]);
      }
    }
    if (!isTried) break;
    examined = await examine(context, checks);
  }
  const whole = examined.map(({ check, findings }) => ({
    check,
    findings: [...findings, ...(complaints.get(check) ?? [])],
  }));
  return { examined: whole, mended };
}

async function makeOne(check: Check, facts: Facts, longestMs: number): Promise<Examined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<readonly Finding[]>((resolve) => {
    const says = `not checked: nothing came of it within ${Math.round(longestMs / 1000)} s`;
    timer = setTimeout(() => resolve([warned(says, 'ONCALL_DEBUG=1 oncall doctor')]), longestMs);
  });
  try {
    const looking = Promise.resolve().then(() => check.look(secondHand(facts, check.reports)));
    return { check: check.name, findings: await Promise.race([looking, late]) };
  } catch (error) {
    if (isAppError(error, 'interrupted')) throw error;
    return { check: check.name, findings: [findingOf(error)] };
  } finally {
    clearTimeout(timer);
  }
}

function findingOf(error: unknown): Finding {
  if (error instanceof NotChecked) {
    const fix = error.fix ?? 'mend what failed above, then: oncall doctor';
    return { ...warned(error.message, fix), missing: error.why };
  }
  const { message, hint } = asAppError(error);
  return failed(message, hint ?? 'oncall doctor --json, and show it to who runs the broker');
}
