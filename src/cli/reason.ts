import { AppError } from '../protocol/errors.ts';
import type { Io } from './io.ts';
import { askText, canAsk } from './prompt.ts';

/** Asks a person, or throws AppError `usage` that names the missing flag. */
export async function askReason(io: Io, question: string): Promise<string> {
  if (canAsk(io)) return askText(io, question);
  throw new AppError('usage', '--reason is missing', { hint: "add --reason '…'" });
}
