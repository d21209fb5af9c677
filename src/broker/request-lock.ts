import type { RequestRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';

/** Whoever settles a request holds it: two brokers that answer it at once would both read it as pending. */
export async function lockRequest(tx: Tx, id: string): Promise<RequestRow | undefined> {
  await tx.lockTarget('', 'request', id);
  return tx.request(id);
}
