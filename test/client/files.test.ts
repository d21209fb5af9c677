import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ensureDir, listNames, readSafeFile } from '../../src/client/files.ts';
import { withLock } from '../../src/client/lock.ts';
import { writeFileAtomic, writeFiles } from '../../src/client/write-files.ts';
import { atEnd } from '../support/at-end.ts';
import { cleanEnvironment, startProcess } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';
import { failureOf } from './fixture.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const modeOf = (path: string) => statSync(path).mode & 0o777;

describe('a file that is written', () => {
  test('is there as a whole, for its owner alone, in a folder for its owner alone', async () => {
    const path = join(tempDir(), 'state', 'deep', 'status.json');
    await writeFileAtomic(path, 'one');
    await writeFileAtomic(path, 'two');
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(modeOf(path)).toBe(0o600);
    expect(modeOf(join(path, '..'))).toBe(0o700);
    expect(readdirSync(join(path, '..'))).toEqual(['status.json']);
  });

  test('replaces a link and not what it points to', async () => {
    const folder = tempDir();
    writeFileSync(join(folder, 'other'), 'untouched');
    symlinkSync('other', join(folder, 'file'));
    await writeFileAtomic(join(folder, 'file'), 'new');
    expect(readFileSync(join(folder, 'other'), 'utf8')).toBe('untouched');
  });

  test('is replaced together with others, or none of them is', async () => {
    const folder = tempDir();
    const [one, two] = [join(folder, 'a', 'one'), join(folder, 'b', 'two')];
    await writeFiles([
      { path: one, data: '1' },
      { path: two, data: '2', isCopy: true },
    ]);
    expect([readFileSync(one, 'utf8'), readFileSync(two, 'utf8')]).toEqual(['1', '2']);
    mkdirSync(join(folder, 'c'), { mode: 0o777 });
    chmodSync(join(folder, 'c'), 0o777);
    const elsewhere = { path: join(folder, 'c', 'three'), data: '3' };
    expect(await failureOf(writeFiles([{ path: one, data: 'new' }, elsewhere]))).toMatchObject({
      code: 'unsafe_file',
    });
    expect(readFileSync(one, 'utf8')).toBe('1');
    expect(readdirSync(folder, { recursive: true }).sort()).toEqual(['a', 'a/one', 'b', 'b/two', 'c']);
  });

  test('is refused a folder that others can write in, and closes one they can only look into', async () => {
    const folder = join(tempDir(), 'open');
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    expect(await failureOf(writeFileAtomic(join(folder, 'x'), ''))).toMatchObject({
      code: 'unsafe_file',
      hint: expect.stringContaining('chmod 700'),
    });
    chmodSync(folder, 0o755);
    ensureDir(folder);
    expect(modeOf(folder)).toBe(0o700);
  });

  test.skipIf(!isRoot)('is refused a folder of somebody else', async () => {
    const folder = tempDir();
    chownSync(folder, NOBODY, NOBODY);
    expect(await failureOf(writeFileAtomic(join(folder, 'x'), ''))).toMatchObject({ code: 'unsafe_file' });
  });

  test.skipIf(!canMount())('is not there at all where the disk is full, and the old one stays', async () => {
    const folder = tempDir();
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=700', 'tmpfs', folder]);
    atEnd(() => void execFileSync('umount', [folder]));
    const path = join(folder, 'file');
    await writeFileAtomic(path, 'old');
    const error = await failureOf(writeFileAtomic(path, Buffer.alloc(128 * 1024)));
    expect(error).toMatchObject({ code: 'disk_full', hint: expect.stringContaining('df -h') });
    expect(readFileSync(path, 'utf8')).toBe('old');
    expect(readdirSync(folder)).toEqual(['file']);
  });
});

describe('a file that is read', () => {
  test('may be missing', async () => {
    expect(readSafeFile(join(tempDir(), 'none', 'at-all'))).toBeUndefined();
    expect(listNames(join(tempDir(), 'none'))).toEqual([]);
  });

  test.each([
    [0o660, false],
    [0o606, false],
    [0o640, true],
    [0o604, true],
  ])('is refused with mode %o (secret: %s)', async (mode, secret) => {
    const path = join(tempDir(), 'file');
    writeFileSync(path, '');
    chmodSync(path, mode);
    expect(await failureOf(() => readSafeFile(path, { secret }))).toMatchObject({
      code: 'unsafe_file',
      hint: `chmod 600 ${path}`,
    });
  });

  test('may be readable by others if it is no secret', async () => {
    const path = join(tempDir(), 'file');
    writeFileSync(path, 'text', { mode: 0o644 });
    expect(readSafeFile(path)?.toString()).toBe('text');
  });

  test('may be our own link, and must be a file', async () => {
    const folder = tempDir();
    writeFileSync(join(folder, 'file'), 'text', { mode: 0o600 });
    symlinkSync('file', join(folder, 'link'));
    expect(readSafeFile(join(folder, 'link'), { secret: true })?.toString()).toBe('text');
    execFileSync('mkfifo', ['-m', '600', join(folder, 'pipe')]);
    expect(await failureOf(() => readSafeFile(join(folder, 'pipe')))).toMatchObject({ code: 'unsafe_file' });
    expect(await failureOf(() => readSafeFile(folder))).toMatchObject({ code: 'unsafe_file' });
  });

  test.skipIf(!isRoot)('is refused if somebody else owns it, or the link to it', async () => {
    const folder = tempDir();
    const path = join(folder, 'file');
    writeFileSync(path, '', { mode: 0o600 });
    symlinkSync('file', join(folder, 'link'));
    execFileSync('chown', ['-h', String(NOBODY), join(folder, 'link')]);
    expect(await failureOf(() => readSafeFile(join(folder, 'link')))).toMatchObject({ code: 'unsafe_file' });
    chownSync(path, NOBODY, NOBODY);
    expect(await failureOf(() => readSafeFile(path))).toMatchObject({ code: 'unsafe_file' });
  });
});

describe('a lock', () => {
  test('lets one in at a time', async () => {
    const path = join(tempDir(), 'lock');
    const inside: string[] = [];
    const enter = (name: string) =>
      withLock(
        path,
        async () => {
          inside.push(`${name} in`);
          await new Promise((resolve) => setImmediate(resolve));
          inside.push(`${name} out`);
        },
        { timeoutMs: 5_000 },
      );
    await Promise.all(['a', 'b', 'c'].map(enter));
    for (let i = 0; i < inside.length; i += 2) expect(inside[i]?.[0]).toBe(inside[i + 1]?.[0]);
  });

  test('is free again after a failure inside', async () => {
    const path = join(tempDir(), 'lock');
    const failing = withLock(path, () => Promise.reject(new Error('inside')), { timeoutMs: 0 });
    await expect(failing).rejects.toThrow('inside');
    expect(await withLock(path, async () => 'in', { timeoutMs: 0 })).toBe('in');
  });

  test('that another process holds is busy, and free as soon as that is killed', async () => {
    const path = join(tempDir(), 'lock');
    const holder = startProcess(process.execPath, ['-e', HOLD, path], {
      env: { ...cleanEnvironment(), NODE_PATH: resolve('node_modules') },
    });
    await holder.waitForOutput('held');
    const blocked = withLock(path, async () => 'in', { timeoutMs: 50 });
    expect(await failureOf(blocked)).toMatchObject({ code: 'busy' });
    const waiting = withLock(path, async () => 'in', { timeoutMs: 10_000 });
    holder.kill('SIGKILL');
    await holder.ended;
    expect(await waiting).toBe('in');
  });
});

const HOLD = `
const fd = require('fs').openSync(process.argv[1], 'a+');
if (require('fs-native-extensions').tryLock(fd)) console.log('held');
setInterval(() => {}, 1000);
`;

function canMount(): boolean {
  if (!isRoot) return false;
  try {
    execFileSync('unshare', ['-m', 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
