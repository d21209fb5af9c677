import { AppError } from '../protocol/errors.ts';
import { isName } from '../protocol/names.ts';

/** Throws AppError `usage`: an id that is no name cannot be one of an incident. */
export function readIncidentId(text: string): string {
  if (isName(text)) return text;
  throw new AppError('usage', `not an incident's name: ${text}`, {
    hint: 'letters, digits and . _ @ / + -, such as P1-123',
  });
}
