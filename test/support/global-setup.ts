// Once for each run, before the first test: what the machine must have, the build, and one PostgreSQL server. In the end
// every process goes by its pid, the run's folder with all that is in it, and what was skipped is said last.
//
// For narrow runs while developing: ONCALL_TEST_NO_BUILD=1 leaves dist/ as it is, ONCALL_TEST_NO_PG=1 starts no server.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { buildOnce } from './build-once.ts';
import { ensureMachineParts, type MissingParts, type PartName } from './machine-parts.ts';
import { type PostgresAddress, type PostgresServer, startPostgres } from './postgres-server.ts';
import { createRunFolder, noteProcess, removeRunFolder } from './run-folder.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    /** The run's folder (run-folder.ts). */
    runFolder: string;
    missingParts: MissingParts;
    /** The run's server; undefined where PostgreSQL is missing or was switched off. */
    postgres: PostgresAddress | undefined;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const missing = ensureMachineParts();
  if (process.env.CI === 'true' && Object.keys(missing).length > 0)
    throw new Error(`CI=true, and parts are missing:\n${describeParts(missing, Object.keys(missing))}`);
  if (process.env.ONCALL_TEST_NO_BUILD !== '1') await buildOnce();

  const folder = createRunFolder();
  // Also where the run ends without its teardown; a closed terminal would end it without this too.
  process.once('exit', () => removeRunFolder(folder));
  process.once('SIGHUP', () => process.exit(129));
  project.provide('runFolder', folder);
  project.provide('missingParts', missing);
  const server = await startServer(folder, missing);
  project.provide('postgres', server && addressOf(server));

  return async () => {
    await server?.stop();
    const skipped = readdirSync(join(folder, 'skipped'));
    removeRunFolder(folder);
    if (skipped.length > 0) console.log(`\nSkipped, for want of parts:\n${describeParts(missing, skipped)}`);
  };
}

async function startServer(folder: string, missing: MissingParts): Promise<PostgresServer | undefined> {
  if (missing.postgres !== undefined || process.env.ONCALL_TEST_NO_PG === '1') return undefined;
  return await startPostgres({ folder, onSpawn: (pid) => noteProcess(folder, pid) });
}

function addressOf({ host, port, user, password, caFile }: PostgresServer): PostgresAddress {
  return { host, port, user, password, caFile };
}

function describeParts(missing: MissingParts, names: readonly string[]): string {
  return names.map((name) => `  ${name}: ${missing[name as PartName] ?? 'switched off'}`).join('\n');
}
