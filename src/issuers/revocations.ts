/** Where ended certificates are written down; the broker keeps it in its store. */
export interface Revocations {
  /**
   * Puts a serial (decimal) on a list until `expiresAtMs`, when the certificate is refused anyway. Resolves to the list's
   * number, raised unless the serial was there already, once that is durable. Hosts get the list by pulling it.
   */
  revoke(entry: { list: 'ssh'; serial: string; expiresAtMs: number }): Promise<number>;
}
