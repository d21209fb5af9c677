// What follows the credentials that are held: the files of plain tools, and the block in a person's own file. Names from a broker
// that lies, and run folders that are not ours.
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { ClientConfig } from '../../src/client/config.ts';
import type { HeldCredential } from '../../src/client/credentials.ts';
import { forgetDevice } from '../../src/client/forget.ts';
import { readKnownTargets } from '../../src/client/known-targets.ts';
import { writeBlock } from '../../src/client/own-block.ts';
import { wipeSessionFiles, writeSessionFiles } from '../../src/client/session-files.ts';
import {
  beginToolFiles,
  followSession,
  noteFollowingBlock,
  toolFile,
  toolLines,
} from '../../src/client/tool-files.ts';
import { part } from '../support/parts.ts';
import { canMount, smallDisk } from '../support/small-disk.ts';
import { tempDir } from '../support/temp.ts';
import { failureOf, GRANT_ID, type TestContext, testContext } from './fixture.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const read = (path: string) => readFileSync(path, 'utf8');

function database(user = 'oncall_ana_1', resource = 'db-replica'): HeldCredential {
  return {
    grantId: GRANT_ID,
    credentialId: 'cr_1',
    target: { resource, role: 'read' },
    handle: user,
    secret: { kind: 'postgres', password: 'pw' },
    publicPart: {
      kind: 'postgres',
      user,
      host: 'db.example.com',
      port: 5432,
      database: 'orders',
      sslMode: 'disable',
    },
    lifeSeconds: 300,
    receivedAtMs: 0,
    expiresAt: '2026-01-01T00:00:00.000Z',
  };
}

function host(...names: string[]): HeldCredential {
  return {
    ...database(),
    target: { resource: 'web', role: 'admin' },
    secret: { kind: 'ssh', privateKey: 'key', publicKey: 'ssh-ed25519 AAAA' },
    publicPart: {
      kind: 'ssh',
      certificate: 'ssh-ed25519-cert-v01@openssh.com AAAA',
      login: 'deploy',
      hosts: names.map((name) => ({ name, host: '10.0.0.1', port: 22 })),
      knownHosts: [],
    },
  };
}

async function hold(context: TestContext, ...credentials: HeldCredential[]): Promise<void> {
  await writeSessionFiles(context.paths, credentials);
  await followSession(context, credentials);
}

async function letGo(context: TestContext): Promise<void> {
  await wipeSessionFiles(context.paths, GRANT_ID);
  await followSession(context);
}

/** After `oncall setup psql --write`. */
async function following(context = testContext()) {
  const { paths } = context;
  await beginToolFiles(paths);
  const place = { file: join(tempDir(), 'services'), comment: '#', at: 'end', mode: 0o600 } as const;
  await writeBlock(paths, place, 'psql', toolLines(paths, 'pg_service.conf'), { force: false });
  await noteFollowingBlock(paths, 'psql', { ...place, follows: 'pg_service.conf' });
  return { context, paths, file: place.file };
}

describe('the files of plain tools', () => {
  test('are not there without set-up', async () => {
    const context = testContext();
    await hold(context, database());
    expect(existsSync(context.paths.toolsDir)).toBe(false);
  });

  test('know what was held before set-up, and still after it was let go', async () => {
    const context = testContext();
    await hold(context, database());
    await letGo(context);
    await beginToolFiles(context.paths);
    expect(read(toolFile(context.paths, 'pg_service.conf'))).toContain(
      '[db-replica]\nhostaddr=no access now: oncall request db-replica\n',
    );
  });

  test('name the run folder that is in use, where that is another by now', async () => {
    const HOME = tempDir();
    const [here, there] = [tempDir(), tempDir()].map((folder) =>
      testContext({ env: { ONCALL_HOME: undefined, HOME, XDG_RUNTIME_DIR: folder } }),
    );
    await beginToolFiles(here!.paths);
    await hold(there!, host('web-1'));
    const text = read(toolFile(here!.paths, 'ssh_config'));
    expect(text).toContain(`Include "${there!.paths.runDir}/ssh_config"`);
  });

  test('hold no secret, whatever is held', async () => {
    const { context, paths, file } = await following();
    await hold(context, database());
    for (const text of [
      read(file),
      ...readdirSync(paths.toolsDir).map((name) => read(join(paths.toolsDir, name))),
    ])
      expect(text).not.toContain('pw\n');
    expect(read(file)).toContain('user=oncall_ana_1\n');
  });

  test.skipIf(!part('psql'))('make psql say how to get access, without looking anything up', async () => {
    const { context, file } = await following();
    await hold(context, database());
    await letGo(context);
    const { stderr, status } = run('psql', ['service=db-replica:read'], { PGSERVICEFILE: file });
    expect({ status, said: stderr.includes('oncall request db-replica:read') }).toEqual({
      status: 2,
      said: true,
    });
  });

  test('name no host that is no name, whatever the broker sends', async () => {
    const context = testContext();
    await beginToolFiles(context.paths);
    const evil = [
      "web-1' ; touch /tmp/owned; '",
      'web-1\nProxyCommand evil',
      '%h',
      '$(evil)',
      '*',
      '-oProxyCommand=x',
    ];
    // Session files refuse all of it; what is remembered keeps what is a name.
    expect(await failureOf(writeSessionFiles(context.paths, [host(...evil)]))).toMatchObject({
      code: 'corrupt_file',
    });
    await followSession(context, [host('web-1', ...evil)]);
    const text = read(toolFile(context.paths, 'ssh_config'));
    expect(text.match(/^Match .*$/gm)).toEqual([
      `Match originalhost web-1 exec "/bin/sh -c 'command -v oncall >/dev/null && exec oncall held web'"`,
    ]);
    expect(text).not.toMatch(/evil|touch|%/);
  });

  test('of a database are not written under a name that is more than one', async () => {
    const { paths } = testContext();
    const evil = database('u', 'x]\nhost=evil\n# <<< oncall psql');
    expect(await failureOf(writeSessionFiles(paths, [evil]))).toMatchObject({ code: 'corrupt_file' });
  });

  test('forget a target whose own name is none', async () => {
    const context = testContext();
    await followSession(context, [database('u', 'x]\nhost=evil')]);
    expect(readKnownTargets(context.paths)).toEqual([]);
  });

  test.each(['', '{', '[1,null,{"kind":"ssh"}]', '[{"kind":"ssh","resource":"a","role":"b","names":["*"]}]'])(
    'are made of what is sound in a record that says %s',
    async (record) => {
      const { paths } = testContext();
      await beginToolFiles(paths);
      writeFileSync(paths.knownTargetsFile, record, { mode: 0o600 });
      await beginToolFiles(paths);
      expect(read(toolFile(paths, 'ssh_config'))).not.toContain('Match');
    },
  );
});

describe("the block in a person's own file", () => {
  test('follows what is held, and is written no more than that', async () => {
    const { context, file } = await following();
    writeFileSync(file, `[mine]\nhost=x\n${read(file)}`);
    await hold(context, database());
    const held = read(file);
    expect(held).toMatch(/^\[mine\]\nhost=x\n# >>> oncall psql \w+\n/);
    await hold(context, database());
    expect(read(file)).toBe(held);
    await letGo(context);
    expect(read(file)).not.toContain('oncall_ana_1');
    expect(context.warnings).toEqual([]);
  });

  test('is left alone, with a warning, where somebody has edited it, and access goes on', async () => {
    const { context, file } = await following();
    const edited = read(file).replace('# <<<', '[theirs]\n# <<<');
    writeFileSync(file, edited);
    await hold(context, database());
    expect(read(file)).toBe(edited);
    expect(context.warnings).toHaveLength(1);
    expect(context.warnings[0]).toContain('edited by hand');
  });

  test('says that nothing is held once the device is forgotten', async () => {
    const { context, paths, file } = await following();
    await hold(context, database());
    const config = { device: { keystore: 'file', keyId: 'k' } } as ClientConfig;
    await forgetDevice(context, config);
    expect(read(file)).toMatch(/^# >>> oncall psql \w+\n# what you hold.*\n# <<< /);
    expect(existsSync(paths.toolsDir)).toBe(false);
  });

  test('stays out of a file that somebody took it out of', async () => {
    const { context, file } = await following();
    writeFileSync(file, '[mine]\n');
    await hold(context, database());
    expect([read(file), context.warnings]).toEqual(['[mine]\n', []]);
  });

  test.skipIf(!canMount())('stays as it is on a full disk, and access goes on', async () => {
    const { context, paths } = await following();
    const { folder, fill } = smallDisk();
    const place = { file: join(folder, 'services'), comment: '#', at: 'end', mode: 0o600 } as const;
    await writeBlock(paths, place, 'psql', toolLines(paths, 'pg_service.conf'), { force: false });
    await noteFollowingBlock(paths, 'psql', { ...place, follows: 'pg_service.conf' });
    fill();
    const before = read(place.file);
    await hold(context, database());
    expect(read(place.file)).toBe(before);
    expect(context.warnings[0]).toContain('no space left');
  });
});

describe('a run folder', () => {
  const inRun = (folder: string) =>
    testContext({ env: { ONCALL_HOME: undefined, HOME: tempDir(), XDG_RUNTIME_DIR: folder } });

  test.skipIf(!canMount())('that is full keeps the files of before, whole', async () => {
    const { folder, fill } = smallDisk();
    const context = inRun(folder);
    await hold(context, database());
    const before = read(join(context.paths.runDir, 'pg_service.conf'));
    fill();
    const failed = writeSessionFiles(context.paths, [database('other')]);
    expect(await failureOf(failed)).toMatchObject({ code: 'disk_full' });
    expect(read(join(context.paths.runDir, 'pg_service.conf'))).toBe(before);
    const files = readdirSync(folder, { recursive: true }).map(String);
    expect(files.filter((name) => name.includes('.tmp-'))).toEqual([]);
    // Wiping needs no space.
    await letGo(context);
    expect(existsSync(join(context.paths.runDir, 'pg_service.conf'))).toBe(false);
  });

  test.skipIf(!isRoot)('of somebody else, or that somebody else made a link, gets nothing', async () => {
    const [foreign, linked, elsewhere] = [tempDir(), tempDir(), tempDir()];
    mkdirSync(join(foreign, 'oncall'));
    chownSync(join(foreign, 'oncall'), NOBODY, NOBODY);
    symlinkSync(elsewhere, join(linked, 'oncall'));
    execFileSync('chown', ['-h', String(NOBODY), join(linked, 'oncall')]);
    for (const folder of [foreign, linked]) {
      const failed = writeSessionFiles(inRun(folder).paths, [database()]);
      expect(await failureOf(failed)).toMatchObject({ code: 'unsafe_file' });
    }
    expect([...readdirSync(join(foreign, 'oncall')), ...readdirSync(elsewhere)]).toEqual([]);
  });
});

function run(program: string, args: readonly string[], env: Record<string, string>) {
  try {
    execFileSync(program, args, { env: { PATH: process.env.PATH, ...env }, stdio: 'pipe' });
    return { status: 0, stderr: '' };
  } catch (error) {
    const { status, stderr } = error as { status: number; stderr: Buffer };
    return { status, stderr: stderr.toString() };
  }
}
