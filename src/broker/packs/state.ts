/** What break-glass leaves at a resource: taint, until somebody has cleaned up (a new epoch) and all that happened was reviewed. */
import type { BreakGlassState } from '../../protocol/messages.ts';
import { formatInstant } from '../../protocol/time.ts';
import type { ReadTx, Tx } from '../../store/store.ts';

/** Whenever an epoch was rotated or a review closed. */
export async function clearTaint(tx: Tx, resource: string): Promise<void> {
  const row = await tx.breakGlassEpoch(resource);
  const isCleanedUp = row.taintedAt !== null && row.rotatedAt !== null && row.rotatedAt >= row.taintedAt;
  if (!isCleanedUp || (await tx.openUseReviews(resource)).length > 0) return;
  await tx.putBreakGlassEpoch({ ...row, taintedAt: null });
}

export async function viewBreakGlassState(tx: ReadTx, resource: string): Promise<BreakGlassState> {
  const { epoch, rotatedAt, taintedAt } = await tx.breakGlassEpoch(resource);
  return {
    resource,
    epoch,
    rotatedAt: rotatedAt === null ? null : formatInstant(rotatedAt),
    taintedAt: taintedAt === null ? null : formatInstant(taintedAt),
    reviews: [...(await tx.openUseReviews(resource))],
  };
}
