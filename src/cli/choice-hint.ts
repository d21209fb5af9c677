import { nearest } from '../catalogue/nearest.ts';

/** What to type in place of a value that is none of these. */
export function choiceHint(typed: string, choices: readonly string[]): string {
  const near = nearest(typed, choices);
  return near === undefined ? `use ${choices.join(', ')}` : `did you mean ${near}`;
}
