import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { findBlock, withBlock, withoutBlock } from '../../src/client/marked-block.ts';

const MARKS = { name: 'ssh', comment: '#', file: '~/.ssh/config' };
const LINES = ['Include "/home/anä/x"', '', 'Host *'];
const AT = fc.constantFrom('top' as const, 'end' as const);
/** Bytes, as latin1, with line ends of both kinds and half marks of other tools. */
const TEXT = fc
  .array(
    fc.oneof(
      fc.string({ unit: 'binary-ascii' }),
      fc.constantFrom('\n', '\r\n', '\xff\xfe', '# >>> oncall sshx', '# <<<'),
    ),
  )
  .map((parts) => parts.join(''));

function codeOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`;
  }
  return 'no failure';
}

describe('a block in a file', () => {
  it('leaves every byte around it alone, and taken away leaves the file as it was', () => {
    fc.assert(
      fc.property(TEXT, AT, fc.array(fc.string({ unit: 'grapheme' })), (text, at, typed) => {
        const lines = typed
          .map((line) => line.replace(/[\r\n]/g, ''))
          .filter((line) => !line.startsWith('#'));
        const written = withBlock(text, lines, MARKS, at);
        expect(withoutBlock(written, MARKS)).toBe(text);
        expect(findBlock(written, MARKS)).toMatchObject({ lines, edited: false });
        expect(withBlock(written, lines, MARKS, at)).toBe(written);
        const changed = withBlock(written, LINES, MARKS, at);
        expect(withoutBlock(changed, MARKS)).toBe(text);
      }),
    );
  });

  it('takes no more away than it added, where the last line ends in a carriage return alone', () => {
    const written = withBlock('\r', ['Include x'], MARKS, 'end');
    expect(withBlock(written, ['Include x'], MARKS, 'end')).toBe(written);
    expect(withoutBlock(written, MARKS)).toBe('\r');
  });

  it('stands at the top or at the end, with the line ends of the file', () => {
    const top = withBlock('Host a\r\n', ['Include x'], MARKS, 'top');
    expect(top).toMatch(/^# >>> oncall ssh \w{12}\r\nInclude x\r\n# <<< oncall ssh\r\nHost a\r\n$/);
    const end = withBlock('[a]', ['[b]'], MARKS, 'end');
    expect(end).toMatch(/^\[a\]\n# >>> .*\n\[b\]\n# <<< oncall ssh \(added a line end above\)\n$/);
    expect(withBlock('\xef\xbb\xbfHost a\n', [], MARKS, 'top')).toMatch(/^\xef\xbb\xbf# >>>/);
  });

  it('makes a file where there is none, and takes that away again unless others have used it', () => {
    const made = withBlock(undefined, LINES, MARKS, 'end');
    expect(withoutBlock(made, MARKS)).toBeUndefined();
    expect(withoutBlock(`${made}theirs\n`, MARKS)).toBe('theirs\n');
    expect(withoutBlock(withBlock('', LINES, MARKS, 'end'), MARKS)).toBe('');
  });

  it('keeps the line end that it added while something of others stands on the next line', () => {
    const written = `${withBlock('[a]', LINES, MARKS, 'end')}[c]\n`;
    expect(withoutBlock(written, MARKS)).toBe('[a]\n[c]\n');
  });

  it('notices every edit, and no other line ends', () => {
    const written = withBlock('Host a\n', LINES, MARKS, 'top');
    expect(findBlock(written.replace('Host *', 'Host * b'), MARKS)).toMatchObject({ edited: true });
    expect(findBlock(written.replace(/ssh \w{12}/, 'ssh'), MARKS)).toMatchObject({ edited: true });
    expect(findBlock(written.replaceAll('\n', '\r\n'), MARKS)).toMatchObject({ edited: false });
  });

  it.each([
    ['a begin without an end', '# >>> oncall ssh 1\nx\n', 'begin in line 1'],
    ['an end without a begin', 'x\n# <<< oncall ssh\n', 'end in line 2'],
    ['marks the wrong way round', '# <<< oncall ssh\n# >>> oncall ssh 1\n', 'end in line 1, begin in line 2'],
    [
      'two blocks',
      '# >>> oncall ssh 1\n# <<< oncall ssh\n\n# >>> oncall ssh 1\n# <<< oncall ssh\n',
      'begin in line 1, end in line 2, begin in line 4, end in line 5',
    ],
    [
      'a block within it',
      '# >>> oncall ssh 1\n# >>> oncall psql 1\n# <<< oncall psql\n# <<< oncall ssh\n',
      'begin in line 1, begin in line 2, end in line 3, end in line 4',
    ],
    [
      'one that begins in another',
      '# >>> oncall psql 1\n# >>> oncall ssh 1\n# <<< oncall psql\n# <<< oncall ssh\n',
      'begin in line 2, end in line 3, end in line 4',
    ],
  ])('is not guessed at: %s', (_, text, where) => {
    for (const work of [
      () => findBlock(text, MARKS),
      () => withBlock(text, LINES, MARKS, 'end'),
      () => withoutBlock(text, MARKS),
    ])
      expect(codeOf(work)).toBe(`corrupt_file: ~/.ssh/config has no whole block of oncall ssh: ${where}`);
  });

  it('is told from that of another tool and another installation', () => {
    const other = withBlock(undefined, ['x'], { ...MARKS, name: 'ssh@staging' }, 'end');
    expect(findBlock(other, MARKS)).toBeUndefined();
    const both = withBlock(other, LINES, MARKS, 'end');
    expect(withoutBlock(both, MARKS)).toBe(other);
  });
});
