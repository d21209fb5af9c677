import { isAppError } from '../protocol/errors.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import type { Requirement } from './issuer.ts';

const MAX_CLOCK_MS = 5_000;

export function fulfilled(name: string, detail: string): Requirement {
  return { name, ok: true, detail, fix: undefined };
}

/** `fix`: the line that makes it good, for a shell, psql or a file, as the requirement's kind makes plain. */
export function missing(name: string, detail: string, fix: string): Requirement {
  return { name, ok: false, detail, fix };
}

/** Whether the target's clock agrees with the broker's. Both in milliseconds since 1970. */
export function checkClock(targetNowMs: number, nowMs: number): Requirement {
  const apart = Math.abs(targetNowMs - nowMs);
  const detail = `${(apart / 1000).toFixed(1)} s apart`;
  if (apart <= MAX_CLOCK_MS) return fulfilled('clock', detail);
  return missing('clock', detail, 'timedatectl set-ntp true   # on both hosts');
}

/** Read by the broker's own admin at the broker's host, so the target's words are shown. */
export function reasonOf(error: unknown): string {
  const cause = isAppError(error) ? error.cause : error;
  const words = cause instanceof Error ? cause.message : String(cause ?? '');
  const message = isAppError(error) ? error.message : '';
  return escapeForTerminal([message, words].filter((part) => part !== '').join(': ')).slice(0, 300);
}
