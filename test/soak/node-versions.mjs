// The whole suite on the newest Node 22 and 24, each from the `node` package. `npm test` runs it on the Node that is here.
// Names of test files may follow: then only those.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const VERSIONS = ['22', '24'];

for (const version of VERSIONS) {
  const folder = mkdtempSync(join(tmpdir(), `oncall-node-${version}-`));
  try {
    // The package's install script is what fetches the binary: the one package here that is allowed one.
    run('npm', ['install', '--prefix', folder, '--no-audit', '--no-fund', `node@${version}`]);
    const bin = join(folder, 'node_modules', 'node', 'bin');
    const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` };
    const node = join(bin, 'node');
    console.log(`Node ${run(node, ['--version'], { stdio: 'pipe' }).stdout}`);
    run(node, ['node_modules/vitest/vitest.mjs', 'run', ...process.argv.slice(2)], { env });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { stdio: 'inherit', encoding: 'utf8', ...options });
  if (result.status !== 0) {
    console.error(`${command} ${args.join(' ')} ended with ${result.status ?? result.signal}`);
    process.exit(1);
  }
  return result;
}
