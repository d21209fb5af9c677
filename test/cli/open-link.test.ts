// A link that is a secret on its way to a browser: seen by the one who comes first with the right path, and by no list of processes.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { platform } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openLink } from '../../src/cli/open-link.ts';
import { tempDir, waitFor } from '../support/temp.ts';

const LINK = 'https://signin.example/federation?Action=login&SigninToken=secret';

/** A screen, and this program where xdg-open would be. */
function screen(program?: string) {
  const folder = tempDir();
  if (program !== undefined) {
    writeFileSync(join(folder, 'xdg-open'), `#!/bin/sh\n${program}\n`);
    chmodSync(join(folder, 'xdg-open'), 0o755);
  }
  const stop = new AbortController();
  const env = { PATH: `${folder}:/usr/bin:/bin`, DISPLAY: ':0', OUT: join(folder, 'out') };
  return {
    env,
    stop,
    open: (change: Record<string, string | undefined> = {}) =>
      openLink(LINK, { ...env, ...change }, stop.signal),
    opened: () => readFileSync(env.OUT, 'utf8').trim(),
  };
}

const follow = (address: string) => fetch(address, { redirect: 'manual' });

describe.skipIf(platform() !== 'linux')('a link', () => {
  test('is given once, to whoever has the path, and to nobody without it', async () => {
    const { open, opened } = screen('echo "$*" > "$OUT.new" && mv "$OUT.new" "$OUT"');
    const opening = open();
    await waitFor(() => opened() !== '', { what: 'the browser' });
    const address = new URL(opened());
    expect(address.href).not.toContain('secret');
    expect(address.hostname).toBe('127.0.0.1');
    for (const path of ['/', `${address.pathname}x`, address.pathname.slice(0, -1)])
      expect((await follow(new URL(path, address).href)).status).toBe(404);
    expect((await fetch(address, { method: 'POST' })).status).toBe(404);
    const answers = await Promise.all([follow(address.href), follow(address.href).catch(() => undefined)]);
    expect(answers.map((answer) => answer?.headers.get('location')).filter((to) => to === LINK)).toHaveLength(
      1,
    );
    expect(await opening).toBe(true);
    await expect(follow(address.href)).rejects.toThrow();
  });

  test.each([
    ['there is no program', undefined],
    ['the program fails', 'exit 3'],
  ])('is left to its owner where %s', async (_what, program) => {
    const { open } = screen(program);
    expect(await open(program === undefined ? { PATH: tempDir() } : {})).toBe(false);
  });

  test('is left to its owner where there is no screen, and nothing is started', async () => {
    const { open, opened } = screen('echo started > "$OUT"');
    expect(await open({ DISPLAY: undefined })).toBe(false);
    expect(opened).toThrow();
  });

  test('is let go at Ctrl-C', async () => {
    const { open, stop, opened } = screen('echo "$1" > "$OUT.new" && mv "$OUT.new" "$OUT"');
    const opening = open().catch((error: unknown) => error);
    await waitFor(() => opened() !== '', { what: 'the browser' });
    stop.abort(new Error('interrupted'));
    expect(await opening).toEqual(new Error('interrupted'));
    await expect(follow(opened())).rejects.toThrow();
  });
});
