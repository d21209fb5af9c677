import { escapeForTerminal } from '../protocol/names.ts';
import type { Line, Piece } from './io.ts';

export interface Column<Row> {
  readonly header: string;
  cell(row: Row): Piece;
}

/** Aligned columns under a header, two spaces apart; the same on a terminal and in a pipe, so `awk` and eyes agree. */
export function tableLines<Row>(rows: readonly Row[], columns: readonly Column<Row>[]): Line[] {
  const header = columns.map(({ header }): Piece => ({ text: header, style: 'dim' }));
  const body = rows.map((row) => columns.map((column) => column.cell(row)));
  const widths = columns.map((_, index) =>
    Math.max(...[header, ...body].map((cells) => width(cells[index]))),
  );
  return [header, ...body].map((cells) => cells.flatMap((cell, index) => padded(cell, index, widths)));
}

/** `name   value` lines, for one thing with many properties. */
export function propertyLines(properties: readonly (readonly [string, Piece])[]): Line[] {
  const longest = Math.max(...properties.map(([name]) => name.length));
  return properties.map(([name, value]) => [{ text: name.padEnd(longest + 2), style: 'dim' }, value]);
}

function padded(cell: Piece, index: number, widths: readonly number[]): Piece[] {
  if (index === widths.length - 1) return [cell];
  // The padding is a piece of its own, so that a style never reaches into the gap between columns.
  return [cell, ' '.repeat((widths[index] ?? 0) - width(cell) + 2)];
}

/** Characters on the screen, as written: escaping makes text longer. */
function width(cell: Piece | undefined): number {
  const text = typeof cell === 'object' ? cell.text : (cell ?? '');
  return [...escapeForTerminal(text)].length;
}
