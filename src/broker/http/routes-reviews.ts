/** What was opened past the usual yes, and how it is looked at afterwards. */
import { Type } from '@sinclair/typebox';
import { AppError } from '../../protocol/errors.ts';
import * as m from '../../protocol/messages.ts';
import type { ReadTx } from '../../store/store.ts';
import { requirePermission } from '../permissions.ts';
import { viewReview } from '../reviews.ts';
import { LIST, type RouteContext } from './route-context.ts';

export function registerReviewRoutes({ read, change, store, rules, reviews }: RouteContext): void {
  const AllQuery = Type.Object(
    { all: Type.Optional(Type.Unsafe<string>({ type: 'string', enum: ['true', 'false'] })) },
    { additionalProperties: false },
  );
  read('/v1/reviews', { result: m.ReviewList, query: AllQuery }, (caller, { query }) =>
    store.read(async (tx) => {
      const isAll = query.all === 'true';
      if (isAll) await requirePermission(rules(), caller, tx, 'review');
      const rows = isAll ? await tx.reviews({ limit: LIST }) : await reviews.concerning(tx, caller.person.id);
      return { reviews: await Promise.all(rows.map((row) => viewReview(tx, row))) };
    }),
  );

  read('/v1/reviews/:id', { result: m.ReviewView }, (caller, { params }) =>
    store.read(async (tx) => {
      const review = await tx.review(params.id ?? '');
      if (!review || !(await reviews.maySee(tx, caller, review)))
        throw new AppError('not_found', `there is no review '${params.id}' for you to see`, {
          hint: 'oncall reviews list',
        });
      return viewReview(tx, review);
    }),
  );

  change(
    '/v1/reviews/:id/close',
    { body: m.CloseReview, result: m.ReviewView },
    (tx, caller, body, { params }) => reviews.close(tx, caller, params.id ?? '', body),
    {
      async result(tx: ReadTx, id: string) {
        const review = await tx.review(id);
        if (!review)
          throw new AppError('not_found', `there is no review '${id}'`, { hint: 'oncall reviews list' });
        return viewReview(tx, review);
      },
    },
  );
}
