import { getReview, listReviews } from '../../client/calls.ts';
import { defineCommand, firstArgument } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { resolveId } from '../match-id.ts';
import { reviewLines } from '../views/reviews.ts';

export interface ReviewsShowOptions {
  readonly id: string;
}

export const reviewsShowCommand = defineCommand<ReviewsShowOptions>({
  json: ['reviews.show'],
  examples: [
    ['oncall reviews show rev_01kdz', 'what was opened, by whom, and what came of it'],
    ['oncall reviews show rev_01kdz --json', 'the same for a script'],
  ],
  declare: (command) => void command.argument('<review>', 'its id, or the beginning of it'),
  read: (typed) => ({ id: firstArgument(typed, 'review') }),
  run: runReviewsShow,
});

export async function runReviewsShow(context: Context, { id: typed }: ReviewsShowOptions): Promise<void> {
  const broker = await context.broker();
  const id = await resolveId(
    typed,
    'review',
    async () => (await listReviews(broker, { all: false })).reviews,
  );
  const review = await getReview(broker, id);
  await writeResult(context.io, context.format, {
    command: 'reviews.show',
    data: { review },
    lines: () => reviewLines(review, context.now()),
  });
}
