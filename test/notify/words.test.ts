import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { clip, formatPlainText, wordsOf } from '../../src/notify/words.ts';
import { hostileNotice, sampleNotice, sampleRecipient, UNSEEN } from './fixture.ts';

describe('the words of a notice', () => {
  test('say who, what, why, how long, by which rule, for whom, and the command on a line of its own', () => {
    expect(formatPlainText(sampleNotice())).toBe(
      [
        'ada asks for db-replica:write',
        '',
        'Who:      ada (Ada Example)',
        'What:     db-replica:write',
        'Why:      P1-123: replication lag',
        'How long: 2h',
        'Rule:     write-in-incident, stage 1 of 2',
        'For:      Bo Example, Cy Example',
        '',
        'To answer:',
        '  oncall approve req_0123456789abcdefghj',
        '',
      ].join('\n'),
    );
  });

  test('leave out what the notice leaves empty', () => {
    const text = formatPlainText(sampleNotice({ why: '', command: '' }));
    expect(text).not.toMatch(/Why|To answer/);
  });

  test('name ten people and count the others', () => {
    const to = Array.from({ length: 5000 }, (_, i) => sampleRecipient(`p${i}`));
    expect(wordsOf(sampleNotice({ to })).to).toMatch(/^P0 Example, .*P9 Example and 4990 more$/);
  });

  test('of a hostile notice are short, and as many lines as those of any other', () => {
    const text = formatPlainText(hostileNotice());
    expect(text.length).toBeLessThan(3000);
    expect(text.split('\n')).toHaveLength(formatPlainText(sampleNotice()).split('\n').length);
    expect(text.replaceAll('\n', '')).not.toMatch(UNSEEN);
  });
});

describe('a clipped text', () => {
  test('is never longer than asked, well formed, and cuts no escape in two', () => {
    const anything = fc.string({
      unit: fc.integer({ min: 0, max: 0xffff }).map((n) => String.fromCharCode(n)),
    });
    fc.assert(
      fc.property(anything, fc.integer({ min: 1, max: 30 }), (text, maxLength) => {
        const clipped = clip(text, maxLength);
        expect(clipped.length).toBeLessThanOrEqual(maxLength);
        expect(clipped.isWellFormed()).toBe(true);
        if (!text.includes('\\')) expect(clipped.replace(/\\u[0-9a-f]{4}/g, '')).not.toContain('\\');
      }),
    );
  });

  test('of just the length stays whole', () => {
    expect(clip('12345', 5)).toBe('12345');
    expect(clip('123456', 5)).toBe('1234…');
    expect(clip('1234\n', 5)).toBe('1234…');
  });
});
