/**
 * The one error type that crosses a boundary. `message` and `hint` are safe to show to anyone who may see the command's
 * output; `cause` goes to logs only. Codes are contracts: scripts and tests match them, sentences may change.
 */
export const EXIT = {
  done: 0,
  failure: 1,
  usage: 2,
  denied: 3,
  notEnrolled: 4,
  unreachable: 5,
  ended: 6,
  targetRefused: 7,
  pending: 8,
  busy: 9,
  interrupted: 130,
} as const;

/** Every code the product reports, with the exit status a command ends with (DESIGN section 10). */
export const ERROR_CODES = {
  internal: EXIT.failure,
  not_found: EXIT.failure,
  conflict: EXIT.failure,
  too_large: EXIT.failure,
  rate_limited: EXIT.failure,
  disk_full: EXIT.failure,
  keychain_unavailable: EXIT.failure,
  unsafe_file: EXIT.failure,
  corrupt_file: EXIT.failure,
  log_inconsistent: EXIT.failure,
  audit_invalid: EXIT.failure,
  config_invalid: EXIT.failure,
  catalogue_invalid: EXIT.failure,
  policy_invalid: EXIT.failure,
  check_failed: EXIT.failure,
  source_failed: EXIT.failure,
  notice_failed: EXIT.failure,
  usage: EXIT.usage,
  invalid_request: EXIT.usage,
  ambiguous: EXIT.usage,
  denied: EXIT.denied,
  forbidden: EXIT.denied,
  not_enrolled: EXIT.notEnrolled,
  invite_invalid: EXIT.notEnrolled,
  unauthenticated: EXIT.notEnrolled,
  clock_skew: EXIT.notEnrolled,
  broker_unreachable: EXIT.unreachable,
  tls_untrusted: EXIT.unreachable,
  log_behind: EXIT.unreachable,
  ended: EXIT.ended,
  expired: EXIT.ended,
  target_refused: EXIT.targetRefused,
  target_unreachable: EXIT.targetRefused,
  pending: EXIT.pending,
  timeout: EXIT.pending,
  busy: EXIT.busy,
  keychain_locked: EXIT.busy,
  interrupted: EXIT.interrupted,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface AppErrorOptions {
  /** What to do next, ideally something that can be typed. Lower case, no full stop. */
  hint?: string | undefined;
  cause?: unknown;
  /** The broker's id for this exchange, to find it in the broker's log. */
  correlationId?: string | undefined;
  /** Machine-readable extras for JSON output: never secret. */
  details?: Readonly<Record<string, unknown>> | undefined;
  /** The broker's identity key vouches for it, as the answer to this very request. */
  isSigned?: boolean | undefined;
}

export class AppError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;
  readonly correlationId: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;
  readonly isSigned: boolean;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = 'AppError';
    this.code = code;
    this.hint = options.hint;
    this.correlationId = options.correlationId;
    this.details = options.details;
    this.isSigned = options.isSigned ?? false;
  }

  get exitCode(): number {
    return ERROR_CODES[this.code];
  }
}

export function isAppError(error: unknown, code?: ErrorCode): error is AppError {
  return error instanceof AppError && (code === undefined || error.code === code);
}

export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERROR_CODES, code);
}
