import { AppError } from '../protocol/errors.ts';
import type { Io } from './io.ts';
import { askText, canAsk } from './prompt.ts';

/** Fewer characters than this tell whoever reviews it nothing. The broker counts as well. */
const SHORTEST_REASON = 10;

/** Asks a person, or throws AppError `usage` that names the missing flag. */
export async function askReason(io: Io, question: string): Promise<string> {
  if (canAsk(io)) return askText(io, question);
  throw new AppError('usage', '--reason is missing', { hint: "add --reason '…'" });
}

/** The same for break-glass, where a word is not enough. */
export async function askLongReason(io: Io, given: string | undefined, question: string): Promise<string> {
  if (given !== undefined && given.trim().length < SHORTEST_REASON)
    throw new AppError('usage', `the reason is shorter than ${SHORTEST_REASON} characters`, {
      hint: 'say what is broken, and why it cannot wait',
    });
  if (given !== undefined) return given;
  if (!canAsk(io)) throw new AppError('usage', '--reason is missing', { hint: "add --reason '…'" });
  return askText(io, question, (text) => text.trim().length >= SHORTEST_REASON || 'a few words are needed');
}
