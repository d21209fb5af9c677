import { EventEmitter } from 'node:events';
import { describe, expect, it } from 'vitest';
import { type EndSignal, Signals } from '../../src/cli/signals.ts';
import { orInterrupted, pause } from '../../src/cli/waiting.ts';

function signalsOn(): { signals: Signals; raise(name: EndSignal): void } {
  const source = new EventEmitter();
  const signals = new Signals({ on: (name, listener) => void source.on(name, listener) });
  return { signals, raise: (name) => void source.emit(name) };
}

describe('signals', () => {
  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
    ['SIGQUIT', 131],
  ] as const)('%s ends waits with status %i', async (name, status) => {
    const { signals, raise } = signalsOn();
    const wait = pause(signals.aborted, 60_000);
    raise(name);
    await expect(wait).rejects.toMatchObject({ code: 'interrupted', status });
  });

  it('go to whoever has taken them, and back afterwards', () => {
    const { signals, raise } = signalsOn();
    const seen: string[] = [];
    const giveBack = signals.take((name) => seen.push(name));
    raise('SIGINT');
    raise('SIGTERM');
    expect({ seen, aborted: signals.aborted.aborted }).toEqual({
      seen: ['SIGINT', 'SIGTERM'],
      aborted: false,
    });
    giveBack();
    raise('SIGINT');
    expect(signals.aborted.aborted).toBe(true);
  });

  it('let nothing begin after them', async () => {
    const { signals, raise } = signalsOn();
    raise('SIGINT');
    await expect(orInterrupted(signals.aborted, Promise.resolve('done'))).rejects.toMatchObject({
      code: 'interrupted',
    });
  });
});
