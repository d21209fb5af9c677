import type { Finding, Level } from '../doctor/check.ts';
import type { Examined, Mended } from '../doctor/examine.ts';
import type { Line, Result, Style } from '../io.ts';

export interface Diagnosis {
  readonly profile: string;
  readonly examined: readonly Examined[];
  readonly mended: readonly Mended[];
}

const NOT_CHECKED = 'not checked';

const STYLES: Readonly<Record<Level, Style>> = { ok: 'green', warn: 'yellow', fail: 'red' };

export function isWell({ examined }: Diagnosis): boolean {
  return examined.every(({ findings }) => findings.every(({ level }) => level !== 'fail'));
}

export function doctorResult(diagnosis: Diagnosis): Result<'doctor'> {
  const { profile, examined, mended } = diagnosis;
  return {
    command: 'doctor',
    data: {
      profile,
      ok: isWell(diagnosis),
      checks: examined.flatMap(({ check, findings }) =>
        findings.map((finding) => ({
          check,
          level: finding.level,
          says: finding.says,
          fix: fixOf(finding),
          canMend: finding.level !== 'ok' && finding.mend !== undefined,
        })),
      ),
      mended,
    },
    lines: () => [
      ...mended.map(({ check, did }): Line => [{ text: 'done  ', style: 'cyan' }, `${check}: ${did}`]),
      ...findingLines(examined),
      summaryLine(examined),
    ],
  };
}

function findingLines(examined: readonly Examined[]): Line[] {
  const widest = Math.max(...examined.map(({ check }) => check.length), NOT_CHECKED.length);
  return together(examined).flatMap(([name, { level, says }, fix]): Line[] => {
    const line: Line = [
      { text: level.padEnd(6), style: STYLES[level] },
      { text: name.padEnd(widest + 2), style: 'bold' },
      says,
    ];
    return fix === null ? [line] : [line, [' '.repeat(widest + 8), { text: 'fix: ', style: 'cyan' }, fix]];
  });
}

type Row = [name: string, finding: Pick<Finding, 'level' | 'says'>, fix: string | null];

/** What could not be checked for one and the same reason is one line, where the first of it would stand. */
function together(examined: readonly Examined[]): Row[] {
  const all = examined.flatMap(({ check, findings }) => findings.map((finding) => ({ check, finding })));
  const reasonOf = ({ finding }: (typeof all)[number]) =>
    finding.level === 'ok' ? undefined : finding.missing;
  return all.flatMap((one, index): Row[] => {
    const reason = reasonOf(one);
    if (reason === undefined) return [[one.check, one.finding, fixOf(one.finding)]];
    const same = all.filter((other) => reasonOf(other) === reason);
    if (all.findIndex((other) => reasonOf(other) === reason) !== index) return [];
    const says = `${reason}: ${same.map(({ check }) => check).join(', ')}`;
    return [[NOT_CHECKED, { level: one.finding.level, says }, fixOf(one.finding)]];
  });
}

function summaryLine(examined: readonly Examined[]): Line {
  const levels = examined.flatMap(({ findings }) => findings.map(({ level }) => level));
  const [fails, warns] = (['fail', 'warn'] as const).map(
    (wanted) => levels.filter((level) => level === wanted).length,
  );
  if (fails === 0 && warns === 0) return { text: 'all is well', style: 'green' };
  return `${fails} failed, ${warns} to look at`;
}

function fixOf(finding: Finding): string | null {
  return finding.level === 'ok' ? null : finding.fix;
}
