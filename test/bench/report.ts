/** What a measurement says, as a table for people and as data. Slowness is marked, never an error. */
export interface Row {
  readonly name: string;
  readonly value: number;
  readonly unit: 'ms' | 'µs' | '/s' | 'MB' | '%' | '';
  /** The part that travels between machines: the value beside another one of the same run. */
  readonly ratio?: { readonly value: number; readonly to: string; readonly target?: number } | undefined;
  readonly note?: string | undefined;
}

export interface Section {
  readonly title: string;
  readonly rows: readonly Row[];
  /** How it was measured, and what was left out. */
  readonly notes: readonly string[];
}

/** Undefined where there is no target. */
export function isMet({ ratio }: Row): boolean | undefined {
  return ratio?.target === undefined ? undefined : ratio.value <= ratio.target;
}

export function formatSection({ title, rows, notes }: Section): string {
  const cells = rows.map((row) => [`  ${row.name}`, formatValue(row), ...formatRatio(row), row.note ?? '']);
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...cells.map((line) => line[column]?.length ?? 0)));
  const lines = cells.map((line) =>
    line
      .map((cell, column) =>
        column === 1 ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join('  ')
      .trimEnd(),
  );
  return [title, ...lines, ...notes.map((note) => `  - ${note}`), ''].join('\n');
}

export function toJson(sections: readonly Section[], machine: Record<string, unknown>): object {
  return {
    schema: 'oncall.bench/v1',
    machine,
    sections: sections.map(({ title, rows, notes }) => ({
      title,
      rows: rows.map((row) => ({ ...row, met: isMet(row) ?? null })),
      notes,
    })),
  };
}

function formatValue({ value, unit }: Row): string {
  const digits = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return `${value.toFixed(digits)} ${unit}`.trimEnd();
}

function formatRatio(row: Row): [ratio: string, target: string] {
  const { ratio } = row;
  if (ratio === undefined) return ['', ''];
  const beside = `${ratio.value.toFixed(2)} × ${ratio.to}`;
  if (ratio.target === undefined) return [beside, ''];
  return [beside, `≤ ${ratio.target}  ${isMet(row) ? 'met' : 'MISSED'}`];
}
