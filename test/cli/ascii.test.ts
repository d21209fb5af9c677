import { Writable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { inAscii, toAscii } from '../../src/cli/ascii.ts';
import { isUtf8, writeJson, writeLines } from '../../src/cli/io.ts';
import { memoryScreen } from './stage.ts';

describe('a locale', () => {
  it.each([
    [{ LANG: 'C.UTF-8' }, true],
    [{ LANG: 'en_US.utf8' }, true],
    [{ LANG: 'C' }, false],
    [{ LANG: 'POSIX' }, false],
    [{ LANG: 'de_DE.ISO-8859-1' }, false],
    [{}, false],
    [{ LC_ALL: 'C', LANG: 'C.UTF-8' }, false],
    [{ LC_CTYPE: 'C.UTF-8', LANG: 'C' }, true],
    [{ LC_ALL: '', LANG: 'C.UTF-8' }, true],
  ])('%j', (env, expected) => {
    expect(isUtf8(env, 'linux')).toBe(expected);
  });

  it('is not said by systems that always have UTF-8', () => {
    expect([isUtf8({}, 'darwin'), isUtf8({}, 'win32'), isUtf8({ LANG: 'C' }, 'darwin')]).toEqual([
      true,
      true,
      false,
    ]);
  });
});

describe('without UTF-8', () => {
  it('bars and boxes keep their width', () => {
    expect(toAscii('█████░░░ │ ├─┤ ❯ ✔ ⠋⠏')).toBe('#####... | +-+ > v -\\');
    expect(toAscii('and so on…')).toBe('and so on...');
  });

  it('a name is written by its numbers: the bytes of U+00DB are a C1 control', async () => {
    const { screen, text } = memoryScreen(false);
    await writeLines({ ...screen, isAscii: true }, ['Zo\u00eb \u00db31m \u{1f512}']);
    expect(text()).toBe('Zo\\u00eb \\u00db31m \\ud83d\\udd12\n');
  });

  it('JSON is the same data', () => {
    const { screen, text } = memoryScreen(false);
    const value = { title: 'Größe… \u{1f512} █' };
    writeJson({ ...screen, isAscii: true }, 'json', value);
    expect(text()).toMatch(/^[\n\x20-\x7e]*$/);
    expect(JSON.parse(text())).toEqual(value);
  });

  it('whoever writes to the stream writes ASCII, and the stream is otherwise itself', () => {
    let written = '';
    const stream = new Writable({
      write(chunk, _encoding, done) {
        written += String(chunk);
        done();
      },
    });
    const ascii = inAscii(stream);
    ascii.write('✔ done');
    ascii.write(Buffer.from(' …'));
    expect(written).toBe('v done ...');
    let drained = false;
    ascii.once('drain', () => {
      drained = true;
    });
    stream.emit('drain');
    expect({ drained, writable: ascii.writable }).toEqual({ drained: true, writable: true });
  });
});
