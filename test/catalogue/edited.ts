import { expect } from 'vitest';
import { type ParsedCatalogue, parseCatalogue } from '../../src/catalogue/parse.ts';
import { completeYaml } from './complete.ts';

export const parse = (text: string): ParsedCatalogue => parseCatalogue(text, 'catalogue.yaml', '/etc/oncall');

/** The complete catalogue with one piece replaced, which must be there. */
export function edited(from: string, to: string): ParsedCatalogue {
  expect(completeYaml).toContain(from);
  return parse(completeYaml.replace(from, () => to));
}

/** Where `«` stands in the complete catalogue after the replacement, from 1. */
export function placeIn(from: string, marked: string): { line: number; column: number } {
  const before = completeYaml.replace(from, () => marked).split('«')[0] ?? '';
  return { line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') };
}
