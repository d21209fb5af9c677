/**
 * Whether the broker has decided. It has where it did what was asked and proved it, or where it refused and its identity key signed
 * the refusal of this very request. Everything else is no decision, whatever it looks like: no route, a hung connection, wrong
 * TLS, a captive portal's 200 or 403, an answer of a broker whose store is dead, a log that is not the one we know.
 */
import { AppError, type ErrorCode, isAppError } from '../protocol/errors.ts';

export type Outcome<T> =
  | { readonly kind: 'decided'; readonly value: T }
  | { readonly kind: 'refused'; readonly error: AppError }
  /** `because`: in words, what came instead of a decision. */
  | { readonly kind: 'undecided'; readonly because: string; readonly error: AppError };

/** What is an answer to what was asked. Others say that the broker could not answer: `internal`, `busy`, `disk_full`, `rate_limited`, … */
const DECISIONS: readonly ErrorCode[] = [
  ...(['denied', 'forbidden', 'unauthenticated', 'not_found', 'conflict'] as const),
  ...(['ended', 'expired', 'usage', 'invalid_request', 'ambiguous', 'too_large'] as const),
];

/** What the exchange itself ends with where no broker of ours has answered. */
const UNANSWERED: readonly ErrorCode[] = [
  ...(['broker_unreachable', 'tls_untrusted', 'timeout', 'too_large'] as const),
  ...(['log_inconsistent', 'audit_invalid'] as const),
];

/** How a call to the broker has ended. Throws what is neither the broker's nor the network's: a locked keychain, Ctrl-C, a fault of ours. */
export async function outcomeOf<T>(call: Promise<T>): Promise<Outcome<T>> {
  try {
    return { kind: 'decided', value: await call };
  } catch (error) {
    return classify(error);
  }
}

/** The same, for as long as one is ready to wait: then nobody has answered. The call goes on. */
export async function outcomeWithin<T>(call: Promise<T>, waitMs: number): Promise<Outcome<T>> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Outcome<T>>((resolve) => {
    timer = setTimeout(() => {
      const because = `the broker has not answered within ${waitMs / 1000} s`;
      resolve({
        kind: 'undecided',
        because,
        error: new AppError('broker_unreachable', because, {
          hint: 'try again in a moment; if it cannot wait: oncall help break-glass',
        }),
      });
    }, waitMs);
  });
  const ended = outcomeOf(call);
  // Where nobody waits for it any more, it is nobody's.
  ended.catch(() => {});
  return Promise.race([ended, late]).finally(() => clearTimeout(timer));
}

function classify(error: unknown): Exclude<Outcome<never>, { kind: 'decided' }> {
  if (!isAppError(error)) throw error;
  const { code, message, correlationId, isSigned } = error;
  if (isSigned && DECISIONS.includes(code)) return { kind: 'refused', error };
  if (isSigned) return { kind: 'undecided', because: `the broker could not decide: ${message}`, error };
  if (correlationId !== undefined) {
    const because = `something answered like a broker, and its refusal (${code}) is not signed for this request`;
    return { kind: 'undecided', because, error };
  }
  if (!UNANSWERED.includes(code)) throw error;
  return { kind: 'undecided', because: message, error };
}
