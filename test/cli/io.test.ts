import { describe, expect, it } from 'vitest';
import {
  colorLevel,
  type Io,
  ioFor,
  note,
  warn,
  writeHint,
  writeJson,
  writeLines,
} from '../../src/cli/io.ts';
import { tableLines } from '../../src/cli/table.ts';
import { bothTimes, relativeTime } from '../../src/cli/times.ts';
import { checkOutputs } from '../support/outputs.ts';
import { memoryScreen } from './stage.ts';

const HOSTILE = '\u001b]0;owned\u0007\u009b2J\u202egnp.exe\nnext';

describe('the screen', () => {
  it('lets nothing from outside steer a terminal, painted or not', async () => {
    const { screen, text } = memoryScreen(true);
    await writeLines(screen, [HOSTILE, { text: HOSTILE, style: 'bold' }, ['a ', HOSTILE]]);
    expect(text()).not.toMatch(/[\u0007\u009b\u202e]|\u001b\]/);
    expect(text().split('\n')).toHaveLength(4);
    expect(text()).toContain('\\u001b]0;owned');
  });

  it('escapes JSON so that it still is the same value', () => {
    const { screen, text } = memoryScreen(true);
    writeJson(screen, 'json', { title: HOSTILE });
    expect(text()).not.toMatch(/[\u0007\u001b\u009b\u202e]/);
    expect(JSON.parse(text())).toEqual({ title: HOSTILE });
  });

  it('writes ndjson as one line', () => {
    const { screen, text } = memoryScreen(false);
    writeJson(screen, 'ndjson', { a: [1, { b: 'x\ny' }] });
    expect(text()).toBe('{"a":[1,{"b":"x\\ny"}]}\n');
  });

  it('tells a program in objects what goes on, and leaves out what is for people alone', async () => {
    const [out, err] = [memoryScreen(false), memoryScreen(false)];
    const io: Io = {
      stdout: out.screen,
      stderr: err.screen,
      stdin: { isTerminal: false, stream: undefined },
    };
    const forPrograms = ioFor(io, 'json');
    await writeHint(forPrograms, 'type this');
    await note(forPrograms, ['on ', { text: 'the way', style: 'bold' }]);
    await warn(forPrograms, 'the clock is slow');
    checkOutputs(err.text());
    expect(err.text()).toBe(
      '{"schema":"oncall.note/v1","message":"on the way"}\n{"schema":"oncall.warning/v1","message":"the clock is slow"}\n',
    );
    await warn(ioFor(io, 'table'), 'the clock is slow');
    expect(err.text()).toContain('oncall: warning: the clock is slow\n');
    expect(out.text()).toBe('');
  });

  it.each([
    [{}, false, 0],
    [{ TERM: 'xterm' }, true, 1],
    [{ TERM: 'xterm-256color' }, true, 2],
    [{ TERM: 'xterm', COLORTERM: 'truecolor' }, true, 3],
    [{ TERM: 'dumb' }, true, 0],
    [{ TERM: 'xterm', NO_COLOR: '1' }, true, 0],
    [{ TERM: 'xterm', NO_COLOR: '' }, true, 1],
    [{ FORCE_COLOR: '1' }, false, 1],
    [{ FORCE_COLOR: '3', NO_COLOR: '1' }, false, 3],
    [{ FORCE_COLOR: '0', TERM: 'xterm' }, true, 0],
  ])('with %j and terminal %s has colour level %i', (env, isTerminal, level) => {
    expect(colorLevel(env, isTerminal)).toBe(level);
  });

  it('aligns columns by what is shown, escapes included', async () => {
    const { screen, text } = memoryScreen(false);
    const rows = [
      { name: 'a\u001b', end: 'x' },
      { name: 'longer-name', end: 'y' },
    ];
    await writeLines(
      screen,
      tableLines(rows, [
        { header: 'NAME', cell: ({ name }) => name },
        { header: 'END', cell: ({ end }) => end },
      ]),
    );
    expect(text()).toBe('NAME         END\na\\u001b      x\nlonger-name  y\n');
  });
});

describe('times', () => {
  const now = Date.parse('2026-01-05T02:14:00.000Z');
  it('are relative in both directions', () => {
    expect(relativeTime(now + 6_120_000, now)).toBe('in 1h42m');
    expect(relativeTime(now - 180_000, now)).toBe('3m ago');
    expect(relativeTime(now, now)).toBe('now');
  });

  it('show the day only where it is another one', () => {
    const noon = new Date(2026, 0, 5, 12, 0).getTime();
    expect(bothTimes(new Date(noon + 3_600_000).toISOString(), noon)).toBe('13:00 (in 1h)');
    expect(bothTimes(new Date(noon + 86_400_000).toISOString(), noon)).toBe('2026-01-06 12:00 (in 1d)');
    expect(bothTimes('soon', noon)).toBe('soon');
  });
});
