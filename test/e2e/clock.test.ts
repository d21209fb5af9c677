// A machine whose clock is wrong, made so by libfaketime.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RequestView } from '../../src/protocol/messages.ts';
import { part } from '../support/parts.ts';
import { runCli } from '../support/process.ts';
import { SSH_LOGIN } from '../support/sshd.ts';
import { freePort, tempDir } from '../support/temp.ts';
import { createWorld, NO_HOST_KEY, PEOPLE, sshResource, succeeded, type World } from './world.ts';

/** Of Debian's package; the folder is the architecture's. */
function findLibrary(): string {
  const folders = readdirSync('/usr/lib').map((name) => join('/usr/lib', name, 'faketime'));
  const files = ['/usr/lib/faketime', ...folders].map((folder) => join(folder, 'libfaketime.so.1'));
  const library = files.find((file) => existsSync(file));
  if (library === undefined) throw new Error('faketime is here, and its library is not');
  return library;
}

describe.skipIf(!part('faketime'))('a clock', () => {
  let world: World;

  beforeAll(async () => {
    const host = { host: '127.0.0.1', port: await freePort() };
    world = await createWorld(`${PEOPLE}\nresources:${sshResource(host, SSH_LOGIN, NO_HOST_KEY)}`);
    await world.serve();
    await world.enroll('dora');
    succeeded(await world.as('dora', 'incident declare P1-1 --service orders --priority P1'));
  }, 60_000);

  // Timers are left alone: it is the time of day that is wrong.
  const wrong = (offset: string) => ({
    LD_PRELOAD: findLibrary(),
    FAKETIME: offset,
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    FAKETIME_NO_CACHE: '1',
  });

  it.each([
    ['-5m', /your clock is (5m|4m5\ds|5m\ds) slow/],
    ['+5m', /your clock is (5m|4m5\ds|5m\ds) fast/],
  ])('that is %s off is named, corrected for the run, and stops nobody', async (offset, said) => {
    const home = tempDir();
    const env = wrong(offset);
    const enrolled = ['enroll', await world.invite('ana'), '--keystore', 'file'];
    succeeded(await runCli(enrolled, { home, env }));
    const asked = succeeded(await runCli(['request', 'db-host', '-i', 'P1-1', '--json'], { home, env }));
    expect(asked.stderr).toMatch(said);
    // Once in a run, however many calls it makes.
    expect(asked.stderr.match(/your clock/g)).toHaveLength(1);
    const { request } = asked.json() as { request: RequestView };
    expect(request).toMatchObject({ state: 'granted' });
    // The broker's clock is what counts.
    expect(Math.abs(Date.parse(request.createdAt) - Date.now())).toBeLessThan(60_000);
    succeeded(await runCli(['run', 'db-host', '--', 'true'], { home, env }));
    const status = succeeded(await runCli(['status', '--json'], { home, env }));
    expect((status.json() as { grants: unknown[] }).grants).toHaveLength(1);
    succeeded(await runCli(['release', '--all'], { home, env }));
  });

  it('that is right is not mentioned', async () => {
    const { stderr } = succeeded(await world.as('dora', 'whoami'));
    expect(stderr).not.toContain('clock');
  });
});
