import { closeReview, listReviews } from '../../client/calls.ts';
import { AppError } from '../../protocol/errors.ts';
import type { CloseReview } from '../../protocol/messages.ts';
import { choiceHint } from '../choice-hint.ts';
import { defineCommand, firstArgument, requiredOption } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';
import { resolveId } from '../match-id.ts';
import { reviewLine } from '../views/reviews.ts';

const OUTCOMES = ['justified', 'drill', 'misuse'] as const;

export interface ReviewsCloseOptions extends CloseReview {
  readonly id: string;
}

export const reviewsCloseCommand = defineCommand<ReviewsCloseOptions>({
  json: ['reviews.close'],
  examples: [
    [
      "oncall reviews close rev_01kdz --outcome justified --note 'the only way to stop the outage'",
      'what it was, and why',
    ],
    ["oncall reviews close rev_01kdz --outcome drill --note 'monthly drill'", 'it was practice'],
  ],
  declare: (command) =>
    void command
      .argument('<review>', 'its id, or the beginning of it')
      .option('--outcome <outcome>', `what it was: ${OUTCOMES.join(', ')}`)
      .option('--note <words>', 'what was found; it goes into the audit log'),
  completes: { review: { names: ['reviews'] }, '--outcome': { words: OUTCOMES } },
  read: (typed) => ({
    id: firstArgument(typed, 'review'),
    outcome: readOutcome(requiredOption(typed, 'outcome', 'justified')),
    note: requiredOption(typed, 'note', "'…'"),
  }),
  run: runReviewsClose,
});

export async function runReviewsClose(
  context: Context,
  { id: typed, outcome, note }: ReviewsCloseOptions,
): Promise<void> {
  const broker = await context.broker();
  const id = await resolveId(
    typed,
    'review',
    async () => (await listReviews(broker, { all: false })).reviews,
  );
  const review = await closeReview(broker, id, { outcome, note });
  await writeResult(context.io, context.format, {
    command: 'reviews.close',
    data: { review },
    lines: () => [reviewLine(review, context.now())],
  });
}

function readOutcome(text: string): CloseReview['outcome'] {
  const outcome = OUTCOMES.find((name) => name === text);
  if (outcome !== undefined) return outcome;
  throw new AppError('usage', `not an outcome: ${text}`, { hint: choiceHint(text, OUTCOMES) });
}
