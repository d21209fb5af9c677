/** RFC 3339 in UTC with milliseconds: the form of every instant in messages, JSON output and the audit log. */
export function formatInstant(ms: number): string {
  return new Date(ms).toISOString();
}

/** Milliseconds since 1970 of an instant that {@link formatInstant} wrote. NaN for anything else. */
export function parseInstant(text: string): number {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/.test(text) ? Date.parse(text) : Number.NaN;
}

/** What the broker's identity key signs to state its time for one request's nonce. */
export function timeStatement(nonce: string, now: string): Uint8Array {
  return new TextEncoder().encode(`oncall-time/v1\n${nonce}\n${now}`);
}
