// Streams and terminals that are not what one expects: closed, narrow, without UTF-8, and names that would steer them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { beforeAll, describe, expect, it } from 'vitest';
import { part } from '../support/parts.ts';
import { cleanEnvironment, ONCALL, runCli, startProcess } from '../support/process.ts';
import { runCliTty } from '../support/pty.ts';
import { tempDir } from '../support/temp.ts';
import { startTeam, type Team } from './team.ts';

/** What a terminal would do something about; a line's end and our own colours, on a terminal, aside. */
const STEERING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/;
const HOSTILE = '\u001b[2J\u001b]0;pwned\u0007\u009b31m\u202etxt.exe\r\nfake: ok';

/** What of it the broker takes: C1 controls and the marks that turn a line around are letters to it. */
const TAKEN = '\u009b31m \u009d0;pwned\u009c \u202etxt.exe';

let team: Team;
let home: string;
beforeAll(async () => {
  team = await startTeam();
  home = team.home.ana!;
  expect(await team.as('ana', 'request db-host -i P1-1')).toMatchObject({ code: 0 });
});

const EVERYDAY = [
  'status',
  'status --json',
  'grants',
  'resources --json',
  'incident list',
  'whoami',
  'explain db-host -i P1-1',
  'doctor',
  'help',
  '',
];

function inShell(words: string, redirections: string) {
  const command = [process.execPath, ONCALL].map((word) => `'${word}'`).join(' ');
  const env = { ...cleanEnvironment(home), SHELL: '/bin/bash' };
  return startProcess('bash', ['-c', `${command} ${words} ${redirections}`], { env, input: '' });
}

describe('streams that are closed', () => {
  it.each(EVERYDAY)('%s ends well with none at all', async (words) => {
    const child = inShell(words, '<&- >&- 2>&-');
    expect(await child.ended).toEqual({ code: 0, signal: null });
  });

  it.each(EVERYDAY)('%s ends quietly when its reader goes away', async (words) => {
    const child = spawn(process.execPath, [ONCALL, ...words.split(' ').filter(Boolean)], {
      env: { ...cleanEnvironment(home), SHELL: '/bin/bash' },
    });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.on('data', (chunk) => {
      stderr += chunk;
    });
    const [code] = await once(child, 'close');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  });

  it.each([
    ['request', 'no target is named'],
    ['deny req_01abc', '--reason'],
    ['enroll', 'the invitation is missing'],
  ])('nobody to ask: %s names what is missing', async (words, named) => {
    for (const redirection of ['<&-', '</dev/null']) {
      const child = inShell(words, redirection);
      const { code } = await child.ended;
      expect({ code, stdout: child.stdout() }).toEqual({ code: words === 'enroll' ? 1 : 2, stdout: '' });
      if (words !== 'enroll') expect(child.stderr()).toContain(named);
    }
  });
});

describe.skipIf(!part('pty'))('a terminal of twenty columns', () => {
  const narrow = { columns: 20, rows: 8 };

  it.each(['status', 'grants', 'resources', 'doctor', 'help'])('shows all of %s', async (words) => {
    const wide = await runCliTty([words], { home, columns: 200, env: { SHELL: '/bin/bash' } });
    const { code, text, restored } = await runCliTty([words], {
      home,
      ...narrow,
      env: { SHELL: '/bin/bash' },
    });
    expect({ code, restored }).toEqual({ code: wide.code, restored: true });
    // The terminal wraps; we cut nothing.
    const withoutTimes = (shown: string) => shown.replace(/[\d:]+|\bin \S+|\S+ ago|now/g, '');
    expect(withoutTimes(text)).toBe(withoutTimes(wide.text));
  });

  it('asks, and takes the answer', async () => {
    expect(await team.as('ana', 'release --all')).toMatchObject({ code: 0 });
    const keys = [{ when: 'db-host', type: ' \r' }];
    const { code, restored } = await runCliTty(['request', '-i', 'P1-1'], { home, ...narrow, keys });
    expect({ code, restored }).toEqual({ code: 0, restored: true });
    const reason = [{ when: 'why not?', type: `${'a long reason '.repeat(6)}\x03` }];
    expect(await runCliTty(['deny', 'req_01abc'], { home, ...narrow, keys: reason })).toMatchObject({
      code: 130,
      restored: true,
    });
  });

  it('waits, and is left as it was', async () => {
    const keys = [{ when: 'waiting', type: '\x03' }];
    const words = 'request db-host -i OWN-1 -r test --wait'.split(' ');
    const { code, text, restored } = await runCliTty(words, { home: team.home.ana, ...narrow, keys });
    expect({ code, restored }).toEqual({ code: 130, restored: true });
    expect(await team.as('ana', `cancel ${/req_\w+/.exec(text)?.[0]}`)).toMatchObject({ code: 0 });
  });
});

describe('names that would steer a terminal', () => {
  it('are shown as they are written, by whatever shows them, and are the same text in JSON', async () => {
    const title = `${TAKEN} title`;
    const declare = [
      'incident',
      'declare',
      'P1-evil',
      '--service',
      'orders',
      '--priority',
      'P1',
      '--title',
      title,
    ];
    const declared = await runCli(declare, { home: team.home.ben });
    expect(declared.code).toBe(0);
    expect(await runCli([...declare.slice(0, -1), HOSTILE], { home: team.home.ben })).toMatchObject({
      code: 2,
    });
    const asked = ['request', 'db-host', '-i', 'OWN-1', '-r', `${TAKEN} reason`, '--no-wait', '--json'];
    const { request } = (await runCli(asked, { home })).json() as { request: { id: string } };
    const shown = [declared];
    for (const [user, words] of [
      ['ana', 'incident list'],
      ['ana', 'incident show P1-evil'],
      ['ana', 'status --refresh'],
      ['ana', 'status'],
      ['carla', 'approvals'],
      ['carla', 'approvals --json'],
      ['ana', 'incident list --json'],
      ['ana', `wait ${request.id} --timeout 1s -o ndjson`],
    ] as const) {
      shown.push(await team.as(user, words));
    }
    for (const { stdout, stderr } of shown) {
      expect((stdout + stderr).replaceAll('\n', '')).not.toMatch(STEERING);
    }
    const { incidents } = await team.json<{ incidents: { id: string; title: string }[] }>(
      'ana',
      'incident list',
    );
    expect(incidents.find(({ id }) => id === 'P1-evil')?.title).toBe(title);
    expect(await team.as('ana', `cancel ${request.id}`)).toMatchObject({ code: 0 });
  });

  it('that were typed are refused as they are written', async () => {
    for (const words of [
      [HOSTILE],
      ['request', HOSTILE],
      ['request', 'db-host', '-i', HOSTILE],
      ['run', 'db-host', '--', HOSTILE],
      ['setup', HOSTILE],
      ['enroll', HOSTILE],
      ['--profile', HOSTILE, 'status'],
      ['status', `--${HOSTILE}`],
      ['wait', HOSTILE],
      ['audit', 'verify', HOSTILE],
    ]) {
      const { code, stdout, stderr } = await runCli(words, { home });
      expect(code).not.toBe(0);
      expect((stdout + stderr).replaceAll('\n', ''), words.join(' ')).not.toMatch(STEERING);
      expect(stderr).not.toMatch(/^fake: ok|something went wrong/m);
    }
  });

  it('of a device are shown to its owner and to the broker as they are written', async () => {
    const fresh = tempDir();
    const paste = ['enroll', await team.broker.invite('carla'), '--keystore', 'file', '--name', HOSTILE];
    const enrolled = await runCli(paste, { home: fresh });
    const listed = await runCli(['devices', 'list'], { home: enrolled.code === 0 ? fresh : team.home.carla });
    for (const { stdout, stderr } of [enrolled, listed])
      expect((stdout + stderr).replaceAll('\n', '')).not.toMatch(STEERING);
  });
});

describe('a locale without UTF-8', () => {
  const title = 'Größe… \u{1f512} Ûx';

  beforeAll(async () => {
    const declare = [
      'incident',
      'declare',
      'P1-umlaut',
      '--service',
      'orders',
      '--priority',
      'P1',
      '--title',
      title,
    ];
    expect(await runCli(declare, { home: team.home.ben })).toMatchObject({ code: 0 });
    expect(await team.as('ana', 'status --refresh')).toMatchObject({ code: 0 });
  });

  it.each([{ LANG: 'C' }, { LANG: 'POSIX' }, { LANG: undefined }, { LANG: 'C.UTF-8', LC_ALL: 'C' }])(
    '%j is written to in ASCII',
    async (env) => {
      for (const words of [
        '--help',
        'status',
        'incident list',
        'help',
        'doctor',
        'whoami',
        'explain db-host',
      ]) {
        const { stdout, stderr } = await runCli(words.split(' '), { home, env });
        expect(stdout + stderr, words).toMatch(/^[\n\x20-\x7e]*$/);
      }
      const { stdout } = await runCli(['incident', 'list', '--json'], { home, env });
      expect(stdout).toMatch(/^[\n\x20-\x7e]*$/);
      const { incidents } = JSON.parse(stdout) as { incidents: { id: string; title: string }[] };
      expect(incidents.find(({ id }) => id === 'P1-umlaut')?.title).toBe(title);
    },
  );

  it('with UTF-8 the same is written as it is', async () => {
    expect((await runCli(['incident', 'list'], { home })).stdout).toContain(title);
  });

  it.skipIf(!part('pty'))('is asked, and waits, in ASCII', async () => {
    const env = { LANG: 'C' };
    const which = [
      { when: 'which access', type: '\x1b[B' },
      { when: 'db-host', type: '\x03' },
    ];
    const asked = await runCliTty(['request', '-i', 'P1-1'], { home, env, keys: which });
    expect({ code: asked.code, restored: asked.restored }).toEqual({ code: 130, restored: true });
    const words = 'request db-host -i OWN-1 -r test --wait'.split(' ');
    const waited = await runCliTty(words, { home, env, keys: [{ when: 'waiting', type: '\x03' }] });
    for (const { raw } of [asked, waited]) expect(raw).toMatch(/^[\x00-\x7f]*$/);
    expect(await team.as('ana', `cancel ${/req_\w+/.exec(waited.text)?.[0]}`)).toMatchObject({ code: 0 });
  });
});
