// Waiting for an approval while the broker is away for longer than a restart takes.
import { expect, it } from 'vitest';
import { answerTo } from '../../src/cli/answer.ts';
import { AppError } from '../../src/protocol/errors.ts';
import { formatInstant } from '../../src/protocol/time.ts';
import { failureOf } from '../client/fixture.ts';
import { tempDir } from '../support/temp.ts';
import { memoryScreen, NOW, stageContext } from './stage.ts';
import { pending, REQUEST_ID, request } from './views.ts';

const away = () => new AppError('broker_unreachable', 'nobody answers');

/** A broker that does not answer the first `unheard` looks; a minute passes at each look at the clock. */
function waitFor(unheard: number, expiresInMinutes: number) {
  const err = memoryScreen(false);
  const io = {
    stdout: memoryScreen(false).screen,
    stderr: err.screen,
    stdin: { isTerminal: false, stream: undefined },
  };
  let looks = 0;
  const answers = {
    [`GET /v1/requests/${REQUEST_ID}`]: () => {
      looks++;
      if (looks <= unheard) throw away();
      return request;
    },
  };
  const stream = () => {
    throw away();
  };
  let nowMs = NOW;
  const now = () => {
    nowMs += 60_000;
    return nowMs;
  };
  const context = { ...stageContext(io, { ONCALL_HOME: tempDir() }, { answers, stream }, [], 'table'), now };
  const first = { ...pending, id: REQUEST_ID, expiresAt: formatInstant(NOW + expiresInMinutes * 60_000) };
  return { answer: answerTo(context, first, { timeoutSeconds: undefined }), said: () => err.text() };
}

it('goes on when the broker comes back after minutes, and has said once that it was away', async () => {
  const { answer, said } = waitFor(2, 100_000);
  expect(await answer).toMatchObject({ state: 'granted' });
  expect(said().match(/warning/g)).toHaveLength(1);
});

it('ends when the request could not be answered any more', async () => {
  const { answer } = waitFor(1_000, 30);
  expect(await failureOf(answer)).toMatchObject({ code: 'broker_unreachable' });
});
