import { isLoopback } from '../protocol/loopback.ts';

export const URL_FORM = 'an https:// address without user or query (http:// on loopback only)';

/** An address that secrets are sent to: never in the clear but to this machine, and none of them in the address itself. */
export function isServiceUrl(text: string): boolean {
  if (!URL.canParse(text) || /[?#]/.test(text)) return false;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return false;
  return protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname));
}
