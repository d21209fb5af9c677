import { Chalk, type ColorSupportLevel } from 'chalk';
import type { Style } from './io.ts';

const painters = new Map<ColorSupportLevel, InstanceType<typeof Chalk>>();

/** `text`, which is already escaped, in a style. The level is told, never guessed: io.ts alone decides about colour. */
export function paint(level: ColorSupportLevel, style: Style, text: string): string {
  let painter = painters.get(level);
  if (painter === undefined) {
    painter = new Chalk({ level });
    painters.set(level, painter);
  }
  return painter[style](text);
}
