import { canonicalJson } from './canonical-json.ts';
import type { Identity } from './messages.ts';

/** What the broker's identity key signs to say who it is: whoever trusts that key may then trust the log's key and name. */
export function identityStatement({
  identityKey,
  logKey,
  origin,
  publicUrl,
}: Pick<Identity, 'identityKey' | 'logKey' | 'origin' | 'publicUrl'>): Uint8Array {
  return new TextEncoder().encode(
    `oncall-identity/v1\n${canonicalJson({ identityKey, logKey, origin, publicUrl })}`,
  );
}
