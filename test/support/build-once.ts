// Builds dist/ for the run, once for each state of the sources: runs side by side in one checkout share the build
// instead of removing it from under each other.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import locks from 'fs-native-extensions';

// dist/test is never packed, so neither is the stamp.
const STAMP = 'dist/test/.built-from';
const LOCK = 'node_modules/.oncall-test-build.lock';

export async function buildOnce(): Promise<void> {
  const lock = openSync(LOCK, 'a', 0o600);
  try {
    // The system frees it when the process that holds it ends, however it ends.
    while (!locks.tryLock(lock)) await sleep(100);
    const state = hashSources();
    if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === state) return;
    const { status } = spawnSync(process.execPath, ['build.mjs', '--test'], { stdio: 'inherit' });
    if (status !== 0) throw new Error('node build.mjs --test failed');
    writeFileSync(STAMP, state);
  } finally {
    closeSync(lock);
  }
}

function hashSources(): string {
  const files = ['src', 'test/demo', 'test/support']
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' }).map((name) => join(folder, name)),
    )
    .filter((name) => /\.(ts|sql)$/.test(name) && !name.endsWith('.test.ts'))
    .sort();
  const hash = createHash('sha256');
  for (const name of ['build.mjs', 'package.json', 'package-lock.json', ...files])
    hash.update(`${name}\0`).update(readFileSync(name)).update('\0');
  return hash.digest('hex');
}
