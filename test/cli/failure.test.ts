import { describe, expect, it } from 'vitest';
import { reportFailure, StatusError } from '../../src/cli/failure.ts';
import { HINTS } from '../../src/cli/hints.ts';
import type { Io } from '../../src/cli/io.ts';
import { withHint } from '../../src/cli/signals.ts';
import { AppError, ERROR_CODES, type ErrorCode } from '../../src/protocol/errors.ts';
import { memoryScreen, NOW } from './stage.ts';

async function report(error: unknown, format: 'table' | 'json' = 'table', env: Record<string, string> = {}) {
  const err = memoryScreen(false);
  const out = memoryScreen(false);
  const io: Io = { stdout: out.screen, stderr: err.screen, stdin: { isTerminal: false, stream: undefined } };
  const code = await reportFailure(error, { io, format, env, now: NOW });
  expect(out.text()).toBe('');
  return { code, stderr: err.text() };
}

describe('a failure', () => {
  it.each(Object.entries(ERROR_CODES))('%s ends with %i', async (code, exitCode) => {
    expect((await report(new AppError(code as ErrorCode, 'no'))).code).toBe(exitCode);
  });

  it('is one error line, then one hint line', async () => {
    const { stderr } = await report(new AppError('denied', 'not now', { hint: 'oncall explain db' }));
    expect(stderr).toBe('oncall: error: not now\noncall: hint: oncall explain db\n');
  });

  it('is one object with --json', async () => {
    const error = new AppError('denied', 'not now', {
      correlationId: 'cor_1',
      details: { requestId: 'req_1' },
    });
    expect(JSON.parse((await report(error, 'json')).stderr)).toEqual({
      schema: 'oncall.error/v1',
      code: 'denied',
      message: 'not now',
      hint: HINTS.denied,
      exitCode: 3,
      correlationId: 'cor_1',
      details: { requestId: 'req_1' },
    });
  });

  it('always says what to do next, and that no broker was asked', async () => {
    const { stderr } = await report(new AppError('busy', 'not now'), 'json');
    expect(JSON.parse(stderr)).toMatchObject({ hint: HINTS.busy, correlationId: null });
    expect((await report(new AppError('busy', 'not now'))).stderr).toContain(`oncall: hint: ${HINTS.busy}`);
  });

  it('says times as people read them, and as they are to programs', async () => {
    const error = new AppError('denied', 'not before 2026-01-05T02:44:00.000Z');
    expect((await report(error)).stderr).toMatch(/not before \S+ \(in 30m\)/);
    expect(JSON.parse((await report(error, 'json')).stderr).message).toContain('2026-01-05T02:44:00.000Z');
  });

  it('shows nothing of an error that is not ours, unless debugging', async () => {
    const error = new Error('password=hunter2');
    expect((await report(error)).stderr).not.toContain('hunter2');
    expect((await report(error)).code).toBe(1);
    expect((await report(error, 'table', { ONCALL_DEBUG: '1' })).stderr).toContain('hunter2');
  });

  it('keeps its code and says another status', async () => {
    const error = new StatusError(127, new AppError('not_found', 'psql: command not found'));
    expect(await report(error)).toMatchObject({ code: 127 });
    expect(JSON.parse((await report(error, 'json')).stderr)).toMatchObject({
      code: 'not_found',
      exitCode: 127,
    });
  });

  it('of an interruption says what became of the work, and keeps the signal', () => {
    const bySignal = new StatusError(143, new AppError('interrupted', 'interrupted'));
    expect(withHint(bySignal, 'it goes on')).toMatchObject({ status: 143, hint: 'it goes on' });
    const other = new AppError('denied', 'no');
    expect(withHint(other, 'it goes on')).toBe(other);
  });
});
