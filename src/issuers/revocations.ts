/** Where ended certificates are written down; the broker keeps it in its store. */

/** What each list holds: serials of SSH certificates (decimal), serials of X.509 certificates (hex); of break-glass apart, for its CAs are. */
export const REVOCATION_LISTS = ['ssh', 'x509', 'break-glass-ssh', 'break-glass-x509'] as const;
export type RevocationList = (typeof REVOCATION_LISTS)[number];

export interface Revocations {
  /**
   * Puts a serial on a list until `expiresAtMs`, when the certificate is refused anyway. Resolves to the list's number,
   * raised unless the serial was there already, once that is durable. Hosts get the list by pulling it.
   */
  revoke(entry: { list: RevocationList; serial: string; expiresAtMs: number }): Promise<number>;
}
