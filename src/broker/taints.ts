/**
 * What break-glass left at a resource: since when somebody may have left something there that outlives the certificate. It is
 * over when the resource's epoch was rotated after that, and every review of a use there is closed.
 */
import type { BreakGlassState } from '../protocol/messages.ts';
import type { TargetRef } from '../protocol/names.ts';
import { formatInstant } from '../protocol/time.ts';
import type { BreakGlassEpochRow, ReviewRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';

/** Open ones that are looked at. */
const MOST_REVIEWS = 1000;

export async function breakGlassState(tx: ReadTx, row: BreakGlassEpochRow): Promise<BreakGlassState> {
  const open = await openReviewsOf(tx, row.resource);
  const taintedAt = isRotated(row) && open.length === 0 ? null : row.taintedAt;
  return {
    resource: row.resource,
    epoch: row.epoch,
    rotatedAt: row.rotatedAt === null ? null : formatInstant(row.rotatedAt),
    taintedAt: taintedAt === null ? null : formatInstant(taintedAt),
    reviews: open.map(({ id }) => id),
  };
}

/** Of uses that a journal told of, and of requests that broke the glass of it among others. */
async function openReviewsOf(tx: ReadTx, resource: string): Promise<ReviewRow[]> {
  const found: ReviewRow[] = [];
  for (const review of await tx.reviews({ state: 'open', limit: MOST_REVIEWS })) {
    if (review.kind !== 'break-glass') continue;
    const request = review.requestId === null ? undefined : await tx.request(review.requestId);
    const targets = (request?.targets ?? []) as unknown as readonly TargetRef[];
    if (review.resource === resource || targets.some((target) => target.resource === resource))
      found.push(review);
  }
  return found;
}

/**
 * Held until the transaction ends, so that a rotation and a taint cannot pass each other. To be asked for before the log is written
 * to, in one order.
 */
export async function holdEpochs(tx: Tx, resources: Iterable<string>): Promise<void> {
  for (const resource of [...new Set(resources)].sort())
    await tx.lockTarget('break-glass', resource, 'epoch');
}

/** A taint that no rotation came after goes on; any other begins anew. The epoch is held. */
export async function taint(tx: Tx, resource: string): Promise<void> {
  const row = await tx.breakGlassEpoch(resource);
  if (row.taintedAt !== null && !isRotated(row)) return;
  await tx.putBreakGlassEpoch({ ...row, taintedAt: await tx.now() });
}

function isRotated({ rotatedAt, taintedAt }: BreakGlassEpochRow): boolean {
  return taintedAt !== null && rotatedAt !== null && rotatedAt > taintedAt;
}

/** Of each resource that is. */
export async function taintedStates(tx: ReadTx): Promise<BreakGlassState[]> {
  const rows = (await tx.breakGlassEpochs()).filter(({ taintedAt }) => taintedAt !== null);
  const states: BreakGlassState[] = [];
  for (const row of rows) states.push(await breakGlassState(tx, row));
  return states.filter(({ taintedAt }) => taintedAt !== null);
}

/** In words: what has to be done about it. */
export function taintWarning({ resource, taintedAt, rotatedAt, reviews }: BreakGlassState): string {
  const isClean = rotatedAt !== null && taintedAt !== null && rotatedAt > taintedAt;
  const todo = [
    ...(isClean ? [] : [`oncall break-glass rotate ${resource}`]),
    ...(reviews.length > 0
      ? [`close ${reviews.slice(0, 3).join(', ')}${reviews.length > 3 ? ' and others' : ''}`]
      : []),
  ];
  return `${resource} is tainted by break-glass since ${taintedAt}: ${todo.join('; ')}`;
}
