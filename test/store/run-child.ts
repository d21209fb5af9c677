import { join, resolve } from 'node:path';
import { build } from 'esbuild';
import { startProcess, type TestProcess } from '../support/process.ts';
import { tempDir } from '../support/temp.ts';
import type { ChildTask } from './child.ts';

let script: Promise<string> | undefined;

/** Starts child.ts in a process of its own. */
export async function runChild(task: ChildTask): Promise<TestProcess> {
  script ??= buildChild();
  const env = { ...process.env, NODE_PATH: resolve('node_modules') };
  return startProcess(process.execPath, [await script, JSON.stringify(task)], { env });
}

async function buildChild(): Promise<string> {
  const outfile = join(tempDir(), 'child.cjs');
  await build({
    entryPoints: ['test/store/child.ts'],
    outfile,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    // As in the product: `libsql` is then looked for in NODE_PATH, which ES modules ignore.
    supported: { 'dynamic-import': false },
    external: ['libsql', 'pg-native'],
    logLevel: 'warning',
  });
  return outfile;
}
