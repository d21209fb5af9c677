import type { Schedule } from './types.ts';

/** A person's place on a schedule, as rules and approval chains write it: `orders-primary level 1`. */
export function formatPosition(schedule: string, level: number): string {
  return `${schedule} level ${level}`;
}

export const MAX_LEVEL = 9;

/** The levels that somebody can hold on a schedule: all of them where the outside system says which. */
export function levelsOf({ rotations, feeds }: Pick<Schedule, 'rotations' | 'feeds'>): number[] {
  const all = Array.from({ length: MAX_LEVEL }, (_, index) => index + 1);
  const written = [...rotations, ...feeds].map(({ level }) => level);
  return all.filter((level) => written.includes(undefined) || written.includes(level));
}
