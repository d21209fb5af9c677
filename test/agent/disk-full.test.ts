// The volume of the runtime directory runs full under a working agent. A real, small file system: mounting one takes root.
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, readFileSync, rmSync, statfsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { grantFolder } from '../../src/client/session-paths.ts';
import { atEnd } from '../support/at-end.ts';
import { tempDir, waitFor } from '../support/temp.ts';
import { MINUTE, startKeeperWorld } from './keeper-world.ts';

const home = join(tempDir(), 'oncall');

function mountRun(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return undefined;
  const folder = join(home, 'run');
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', folder]);
  if (mounted.status !== 0) return undefined;
  atEnd(() => spawnSync('umount', ['-l', folder]));
  return folder;
}

const volume = mountRun();

function fill(file: string): void {
  for (;;) {
    try {
      appendFileSync(file, Buffer.alloc(statfsSync(volume ?? '').bsize));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      return;
    }
  }
}

describe.skipIf(volume === undefined)('a full runtime directory', () => {
  it('keeps the credential that is there, says so, and is over when there is room again', async () => {
    const world = await startKeeperWorld({ env: { ONCALL_HOME: home } });
    const { id } = await world.hold();
    const certificate = () =>
      readFileSync(join(grantFolder(world.context.paths, id), 'key-cert.pub'), 'utf8');
    const before = certificate();
    const keeper = world.keep();
    await keeper.wake();
    const filler = join(volume ?? '', 'filler');
    fill(filler);
    await world.pass(2.5 * MINUTE, keeper);
    expect(world.status(id)?.renewal).toMatchObject({
      state: 'failing',
      because: expect.stringContaining('space'),
    });
    expect(certificate()).toBe(before);
    rmSync(filler);
    await waitFor(
      async () => {
        await world.pass(5_000, keeper);
        return certificate() !== before;
      },
      { what: 'the new certificate' },
    );
    expect(world.status(id)?.renewal).toBeNull();
    await keeper.stop();
  });
});
