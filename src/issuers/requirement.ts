import type { Requirement } from './issuer.ts';

export function fulfilled(name: string, detail: string): Requirement {
  return { name, ok: true, detail, fix: undefined };
}

/** `fix`: the line that makes it good, for a shell, psql or a file, as the requirement's kind makes plain. */
export function missing(name: string, detail: string, fix: string): Requirement {
  return { name, ok: false, detail, fix };
}
