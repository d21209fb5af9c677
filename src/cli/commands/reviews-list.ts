import { listReviews } from '../../client/calls.ts';
import { defineCommand, flagOption } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { reviewTable } from '../views/reviews.ts';

export interface ReviewsListOptions {
  readonly all: boolean;
}

export const reviewsListCommand = defineCommand<ReviewsListOptions>({
  json: ['reviews.list'],
  examples: [
    ['oncall reviews list', 'open reviews that concern you'],
    ['oncall reviews list --json', 'the same for a script'],
  ],
  declare: (command) => void command.option('--all', "everybody's, closed ones too, for those who may"),
  read: (typed) => ({ all: flagOption(typed, 'all') }),
  run: runReviewsList,
});

export async function runReviewsList(context: Context, { all }: ReviewsListOptions): Promise<void> {
  const { reviews } = await listReviews(await context.broker(), { all });
  await writeResult(context.io, context.format, {
    command: 'reviews.list',
    data: { reviews },
    lines: () => (reviews.length === 0 ? ['no reviews'] : reviewTable(reviews, context.now())),
  });
}
