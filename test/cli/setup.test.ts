// `oncall setup` on files of every kind that a person may have: what it does to them, and what it refuses to do.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type CliOptions, runCli } from '../support/process.ts';
import { canMount, smallDisk } from '../support/small-disk.ts';
import { tempDir } from '../support/temp.ts';

const isRoot = process.getuid?.() === 0;
const NOBODY = 65_534;
const OWN = 'Host mine\n  Port 77\n';

interface Home {
  readonly home: string;
  readonly file: string;
  setup(words: string, options?: CliOptions): Promise<{ code: number | null; error?: string; data?: Data }>;
}
interface Data {
  did: string;
  state: string;
  file: string;
  writesTo: string;
  lines: string[] | null;
}

/** A home folder, with this ~/.ssh/config unless it is undefined. */
function homeWith(text: string | undefined, mode = 0o600): Home {
  const home = tempDir();
  const file = join(home, '.ssh', 'config');
  if (text !== undefined) {
    mkdirSync(dirname(file), { mode: 0o700 });
    writeFileSync(file, text);
    chmodSync(file, mode);
  }
  return {
    home,
    file,
    async setup(words, options = {}) {
      const result = await runCli(['setup', ...words.split(' '), '--json'], { home, ...options });
      const error = /"code": "(\w+)"/.exec(result.stderr)?.[1];
      const { code, stdout } = result;
      return { code, ...(error && { error }), ...(stdout !== '' && { data: JSON.parse(stdout) as Data }) };
    },
  };
}
const read = (path: string) => readFileSync(path, 'utf8');

describe('oncall setup', () => {
  it('shows what it would do and does nothing', async () => {
    const { home, setup } = homeWith(undefined);
    for (const tool of ['ssh', 'psql']) {
      expect(await setup(tool)).toMatchObject({ code: 0, data: { did: 'nothing', state: 'absent' } });
      expect(await setup(`${tool} --remove`)).toMatchObject({ code: 0, data: { did: 'nothing' } });
    }
    expect(readdirSync(home, { recursive: true }).filter((name) => !/oncall/.test(String(name)))).toEqual([]);
  });

  it('makes a file for its owner alone where there is none, and takes it away again', async () => {
    const { file, setup } = homeWith(undefined);
    expect(await setup('ssh --write')).toMatchObject({ code: 0, data: { did: 'written' } });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(file)).mode & 0o777).toBe(0o700);
    expect(await setup('ssh --remove')).toMatchObject({ data: { did: 'removed' } });
    expect(existsSync(file)).toBe(false);
  });

  it('writes once, however often it is asked', async () => {
    const { file, setup } = homeWith(OWN, 0o644);
    await setup('ssh --write');
    const [text, { ino }] = [read(file), statSync(file)];
    expect(await setup('ssh --write')).toMatchObject({ code: 0, data: { did: 'nothing', state: 'current' } });
    expect([read(file), statSync(file).ino]).toEqual([text, ino]);
    expect(statSync(file).mode & 0o777).toBe(0o644);
  });

  it('rewrites its own lines in place when they are others by now', async () => {
    const { home, file, setup } = homeWith(OWN);
    await setup('ssh --write');
    writeFileSync(file, `Host first\n${read(file)}`);
    const moved = { env: { ONCALL_HOME: join(home, 'moved') } };
    expect(await setup('ssh', moved)).toMatchObject({ data: { state: 'outdated', did: 'nothing' } });
    expect(await setup('ssh --write', moved)).toMatchObject({ data: { did: 'written' } });
    expect(read(file)).toMatch(/^Host first\n# >>> .*\nInclude ".*moved.*"\n# <<< .*\nHost mine\n/);
    await setup('ssh --remove', moved);
    expect(read(file)).toBe(`Host first\n${OWN}`);
  });

  it('keeps what somebody has written into its block, unless forced', async () => {
    const { file, setup } = homeWith(OWN);
    await setup('ssh --write');
    const edited = read(file).replace('# <<<', 'Host theirs\n# <<<');
    writeFileSync(file, edited);
    for (const words of ['ssh --write', 'ssh --remove']) {
      expect(await setup(words)).toMatchObject({ code: 1, error: 'conflict', data: { did: 'nothing' } });
      expect(read(file)).toBe(edited);
    }
    expect(await setup('ssh --write --force')).toMatchObject({ code: 0, data: { state: 'edited' } });
    expect(read(file)).not.toContain('theirs');
    await setup('ssh --remove');
    expect(read(file)).toBe(OWN);
  });

  it('shows an edit as a difference before it is forced', async () => {
    const { home, file, setup } = homeWith(OWN);
    await setup('ssh --write');
    writeFileSync(file, read(file).replace('# <<<', 'Host \x1b[2Jtheirs\n# <<<'));
    const { stdout, stderr } = await runCli(['setup', 'ssh', '--write'], { home });
    expect(stdout).toContain('- Host \\u001b[2Jtheirs\n');
    expect(stderr).toContain('--force');
  });

  it.each(['ssh --write', 'ssh --write --force', 'ssh --remove', 'ssh'])(
    'does not guess at half a block: %s',
    async (words) => {
      const half = `${OWN}# >>> oncall ssh 0123456789ab\nInclude x\n`;
      const { file, setup } = homeWith(half);
      expect(await setup(words)).toEqual({ code: 1, error: 'corrupt_file' });
      expect(read(file)).toBe(half);
    },
  );

  it('edits what a link leads to, and the link stays', async () => {
    const { home, file, setup } = homeWith(undefined);
    const [repository, target] = [join(home, 'dotfiles'), join(home, 'dotfiles', 'ssh-config')];
    mkdirSync(repository);
    chmodSync(repository, 0o755);
    mkdirSync(dirname(file), { mode: 0o700 });
    symlinkSync('../dotfiles/ssh-config', file);
    // It leads to nothing yet.
    expect(await setup('ssh --write')).toMatchObject({ data: { file, writesTo: target } });
    await setup('ssh --remove');
    writeFileSync(target, OWN, { mode: 0o644 });
    await setup('ssh --write');
    expect(readlinkSync(file)).toBe('../dotfiles/ssh-config');
    expect(read(target)).toContain('# >>> oncall ssh');
    expect(statSync(target).mode & 0o777).toBe(0o644);
    expect(statSync(repository).mode & 0o777).toBe(0o755);
    await setup('ssh --remove');
    expect([read(target), lstatSync(file).isSymbolicLink()]).toEqual([OWN, true]);
  });

  it.each([
    ['is read-only', ({ file }: Home) => chmodSync(file, 0o400)],
    ['has a second name', ({ file, home }: Home) => linkSync(file, join(home, 'other'))],
  ])('leaves a file alone that %s', async (_, spoil) => {
    const place = homeWith(OWN);
    spoil(place);
    expect(await place.setup('ssh --write')).toMatchObject({ code: 1, error: 'unsafe_file' });
    expect(read(place.file)).toBe(OWN);
  });

  it('leaves alone what is no file', async () => {
    const { file, setup } = homeWith(undefined);
    mkdirSync(file, { recursive: true });
    expect(await setup('ssh --write')).toEqual({ code: 1, error: 'unsafe_file' });
    const pipes = homeWith(undefined);
    execFileSync('mkfifo', [join(pipes.home, '.pg_service.conf')]);
    expect(await pipes.setup('psql --write')).toEqual({ code: 1, error: 'unsafe_file' });
    const loop = homeWith(undefined);
    symlinkSync('.pg_service.conf', join(loop.home, '.pg_service.conf'));
    expect(await loop.setup('psql --write')).toEqual({ code: 1, error: 'unsafe_file' });
  });

  it.skipIf(!isRoot)('leaves alone what belongs to somebody else', async () => {
    const spoils = [
      ({ file }: Home) => chownSync(file, NOBODY, NOBODY),
      ({ file }: Home) => chownSync(dirname(file), NOBODY, NOBODY),
      ({ file, home }: Home) => {
        execFileSync('mv', [file, join(home, 'target')]);
        symlinkSync('../target', file);
        execFileSync('chown', ['-h', String(NOBODY), file]);
      },
    ];
    for (const spoil of spoils) {
      const place = homeWith(OWN);
      spoil(place);
      expect(await place.setup('ssh --write')).toEqual({ code: 1, error: 'unsafe_file' });
      expect(read(place.file)).toBe(OWN);
    }
  });

  it.skipIf(!canMount())('loses nothing when the disk is full', async () => {
    const { folder, fill } = smallDisk();
    const file = join(folder, '.pg_service.conf');
    writeFileSync(file, '[mine]\n');
    fill();
    const elsewhere = { ONCALL_HOME: join(tempDir(), 'oncall') };
    const { setup } = homeWith(undefined);
    expect(await setup('psql --write', { env: { HOME: folder, ...elsewhere } })).toMatchObject({
      code: 1,
      error: 'disk_full',
    });
    expect(read(file)).toBe('[mine]\n');
    expect(readdirSync(folder).filter((name) => name.startsWith('.tmp'))).toEqual([]);
  });

  it('says what is missing where no home is known', async () => {
    const { setup } = homeWith(undefined);
    expect(await setup('ssh --write', { env: { HOME: undefined } })).toEqual({
      code: 1,
      error: 'config_invalid',
    });
    expect(await setup('ssh --write', { env: { HOME: undefined, ONCALL_HOME: undefined } })).toEqual({
      code: 1,
      error: 'config_invalid',
    });
  });

  it("honours the tool's own variable, and finds its lines without it", async () => {
    const { home, setup } = homeWith(undefined);
    const file = join(home, 'services');
    writeFileSync(file, '[mine]\n');
    const named = { env: { PGSERVICEFILE: file } };
    expect(await setup('psql --write', named)).toMatchObject({ data: { did: 'written', file } });
    expect(await setup('psql --remove')).toMatchObject({ data: { did: 'removed', file } });
    expect(read(file)).toBe('[mine]\n');
    // What run puts there is no file of the person's.
    const inRun = { env: { PGSERVICEFILE: join(home, 'oncall', 'run', 'pg_service.conf') } };
    expect(await setup('psql', inRun)).toMatchObject({ data: { file: join(home, '.pg_service.conf') } });
  });

  it('keeps installations apart, and two commands at once lose nothing', async () => {
    const { file, setup } = homeWith(OWN);
    const profiles = ['default', 'staging', 'drill', 'lab'];
    const all = (action: string) => Promise.all(profiles.map((p) => setup(`ssh --profile ${p} ${action}`)));
    expect((await all('--write')).map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(read(file).match(/^Include .*$/gm)).toHaveLength(4);
    expect((await all('--remove')).map(({ code }) => code)).toEqual([0, 0, 0, 0]);
    expect(read(file)).toBe(OWN);
  });

  it('writes no line that ssh would read as something else', async () => {
    const { home, file, setup } = homeWith(OWN);
    for (const name of ['a*b', 'a"b', 'a%b', 'a[b]', 'a$b', 'a\\b'])
      expect(await setup('ssh --write', { env: { ONCALL_HOME: join(home, name) } })).toEqual({
        code: 1,
        error: 'unsafe_file',
      });
    expect(read(file)).toBe(OWN);
  });

  it.each(['', 'ssh --write --remove', 'ssh --force', 'nosuch'])(
    'refuses to be asked for: %s',
    async (words) => {
      const { setup } = homeWith(undefined);
      expect(await setup(words)).toMatchObject({ code: 2, error: 'usage' });
    },
  );
});
