/** Errors as replies: one shape for all, with the broker's time signed over the request's nonce, and signed as a whole. */
import { AppError, type ErrorCode } from '../../protocol/errors.ts';
import type { ErrorReply, SignedTime } from '../../protocol/messages.ts';
import { refusalStatement } from '../../protocol/refusal.ts';
import type { HeaderFields } from '../../protocol/signature.ts';
import { parseSignature } from '../../protocol/signature.ts';
import { formatInstant, timeStatement } from '../../protocol/time.ts';
import type { SigningKey } from '../keys.ts';

const STATUS: Partial<Record<ErrorCode, number>> = {
  unauthenticated: 401,
  invite_invalid: 403,
  denied: 403,
  forbidden: 403,
  not_found: 404,
  conflict: 409,
  busy: 409,
  ended: 410,
  expired: 410,
  too_large: 413,
  usage: 422,
  invalid_request: 422,
  rate_limited: 429,
  target_refused: 502,
  target_unreachable: 504,
  log_behind: 503,
  disk_full: 507,
};

export function statusOf(code: ErrorCode): number {
  return STATUS[code] ?? 500;
}

/** What fastify itself refuses (sizes, media types, unknown routes), in our codes. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  const { statusCode, code, validation, message } = error as {
    statusCode?: number;
    code?: string;
    validation?: unknown[];
    message?: string;
  };
  if (validation)
    return new AppError('invalid_request', message ?? 'the message does not have the right shape');
  if (statusCode === 413 || code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new AppError('too_large', 'the body is too large');
  if (statusCode === 429)
    return new AppError('rate_limited', 'too many requests', { hint: 'slow down and try again' });
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new AppError('invalid_request', message ?? 'bad request');
  }
  return new AppError('internal', 'the broker failed', { cause: error });
}

export function refusalReply(
  error: AppError,
  correlationId: string,
  identity: SigningKey,
  { nonce, keyId }: Answered,
  nowMs: number,
): ErrorReply {
  const { code, hint } = error;
  // What went wrong inside stays inside.
  const message = code === 'internal' ? 'the broker failed' : error.message;
  const time = signTime(identity, nonce, nowMs);
  const statement = refusalStatement({ code, message, hint, nonce, keyId, now: time.now });
  return {
    error: {
      code,
      message,
      ...(hint !== undefined && { hint }),
      ...(error.details && { details: { ...error.details } }),
    },
    correlationId,
    time,
    signature: Buffer.from(identity.sign(statement)).toString('base64url'),
  };
}

/** What of a request its refusal is bound to. */
interface Answered {
  readonly nonce: string;
  readonly keyId: string;
}

/** Nobody has checked this signature: what is refused may be just that. Empty where there is none to read. */
export function answeredOf(headers: HeaderFields): Answered {
  try {
    const { nonce, keyId } = parseSignature(headers);
    return { nonce, keyId };
  } catch {
    return { nonce: nonceOf(headers), keyId: '' };
  }
}

/** The nonce of a request's signature, or of its `oncall-nonce` header; empty where there is none to read. */
export function nonceOf(headers: HeaderFields): string {
  try {
    return parseSignature(headers).nonce;
  } catch {
    const plain = headers['oncall-nonce'];
    return typeof plain === 'string' && /^[A-Za-z0-9_-]{16,64}$/.test(plain) ? plain : '';
  }
}

export function signTime(identity: SigningKey, nonce: string, nowMs: number): SignedTime {
  const now = formatInstant(nowMs);
  return {
    now,
    nonce,
    signature: Buffer.from(identity.sign(timeStatement(nonce, now))).toString('base64url'),
  };
}
