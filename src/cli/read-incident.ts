import { AppError } from '../protocol/errors.ts';
import { isName } from '../protocol/names.ts';

const LONGEST = 512;

/** An incident as people type it: its id, `#4711`, a pasted address. The broker finds out which is meant. Throws AppError `usage`. */
export function readIncidentRef(text: string): string {
  if (text.length <= LONGEST && (isName(text.replace(/^#/, '')) || isAddress(text))) return text;
  throw new AppError('usage', `not an incident: ${text.slice(0, LONGEST)}`, {
    hint: 'its id such as P1-123, a number such as #4711, or its address',
  });
}

/** The id that an incident is to have. Throws AppError `usage`. */
export function readIncidentId(text: string): string {
  if (isName(text)) return text;
  throw new AppError('usage', `not an incident's name: ${text}`, {
    hint: 'letters, digits and . _ @ / + -, such as P1-123',
  });
}

/** Printable ASCII alone, as browsers copy it. */
function isAddress(text: string): boolean {
  return /^https?:\/\/[\x21-\x7e]+$/i.test(text) && URL.canParse(text);
}
