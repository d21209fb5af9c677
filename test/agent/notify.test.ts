import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { desktopNotify } from '../../src/agent/notify.ts';
import { tempDir, waitFor } from '../support/temp.ts';

/** A notify-send that writes down how it was called. */
function recorder(): { path: string; said: () => string[] | undefined } {
  const folder = tempDir();
  const file = join(folder, 'said');
  const program = join(folder, 'notify-send');
  writeFileSync(
    program,
    `#!/bin/sh\nfor word in "$@"; do printf '%s\\n' "$word"; done > ${file}.new\nmv ${file}.new ${file}\n`,
  );
  chmodSync(program, 0o755);
  return {
    path: `${folder}:/usr/bin:/bin`,
    said: () => (existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : undefined),
  };
}

describe.skipIf(process.platform === 'darwin')('a word on the desktop', () => {
  it('is an argument, whatever is in it: no option, no markup, no second line', async () => {
    const { path, said } = recorder();
    desktopNotify({ PATH: path, DISPLAY: ':0' })('--help', '<b>$(id)</b>\n`x` & "y"');
    await waitFor(said, { what: 'the word' });
    expect(said()).toEqual([
      '--app-name=oncall',
      '--',
      'oncall: --help',
      '&lt;b&gt;$(id)&lt;/b&gt;\\u000a`x` &amp; "y"',
    ]);
  });

  it('is not said where there is no desktop, and its failure is nobody’s', async () => {
    const { path, said } = recorder();
    desktopNotify({ PATH: path })('title', 'text');
    desktopNotify({ PATH: '/nowhere', DISPLAY: ':0' })('title', 'text');
    // Whatever was started has had its turn by the end of another.
    const other = recorder();
    desktopNotify({ PATH: other.path, DISPLAY: ':0' })('title', 'text');
    await waitFor(other.said, { what: 'the other word' });
    expect(said()).toBeUndefined();
  });
});
