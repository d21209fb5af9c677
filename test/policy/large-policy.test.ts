import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';
import { afterAll, beforeAll, expect, test } from 'vitest';

/**
 * V8's optimizer aborted the whole process here (see cedar.ts): once calls into Cedar were hot, the next growth of its
 * memory ended it. It takes a process of its own, built as the product is built.
 */
let folder = '';
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'oncall-policy-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

test('a large policy loaded after thousands of decisions leaves the process alive', () => {
  const outfile = join(folder, 'many-decisions.cjs');
  buildSync({
    entryPoints: [fileURLToPath(new URL('./many-decisions.ts', import.meta.url))],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    external: ['@cedar-policy/cedar-wasm'],
  });
  const modules = fileURLToPath(new URL('../../node_modules', import.meta.url));
  const output = execFileSync(process.execPath, [outfile], {
    env: { NODE_PATH: modules },
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(output).toBe('500 rules decided\n');
});
