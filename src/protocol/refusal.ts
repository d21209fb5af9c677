import { canonicalJson } from './canonical-json.ts';

/** A refusal and the request that it answers. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
  readonly hint: string | undefined;
  /** The request's own, and of the key that the request says it is signed with: empty where it says none. */
  readonly nonce: string;
  readonly keyId: string;
  /** The broker's time, as in the reply. */
  readonly now: string;
}

/**
 * What the broker's identity key signs of a refusal. It names the request's nonce and key: a refusal that somebody else was given,
 * or that this device was given before, is none of this request. `details` are for machines, and are not vouched for.
 */
export function refusalStatement({ code, message, hint, nonce, keyId, now }: Refusal): Uint8Array {
  const said = { code, message, hint: hint ?? null, nonce, keyId, now };
  return new TextEncoder().encode(`oncall-refusal/v1\n${canonicalJson(said)}`);
}
