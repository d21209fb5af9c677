/**
 * The one error of the readers. A message says which source and what kind of failure; never an address (a calendar's is a
 * secret), a token, or what the vendor wrote.
 */
import { AppError, isAppError } from '../protocol/errors.ts';

export interface FailureOptions {
  hint?: string | undefined;
  cause?: unknown;
  /** The vendor's HTTP status. */
  status?: number | undefined;
  /** How long the vendor asks us to stay away. */
  retryAfterSeconds?: number | undefined;
}

/** `name` is the source's in the catalogue; `what` goes on from it: `answered 500`. */
export function sourceFailed(
  name: string,
  what: string,
  { hint, cause, status, retryAfterSeconds }: FailureOptions = {},
): AppError {
  return new AppError('source_failed', `${name} ${what}`, {
    hint,
    cause,
    details: {
      source: name,
      ...(status !== undefined && { status }),
      ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
    },
  });
}

/** Turns what a parser refuses (`invalid_request`, which names members and no values) into the source's failure. */
export function understand<T>(name: string, parse: () => T): T {
  try {
    return parse();
  } catch (error) {
    if (!isAppError(error, 'invalid_request')) throw error;
    throw sourceFailed(name, `answered what we don't understand: ${error.message}`);
  }
}
