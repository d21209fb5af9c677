// Every question that a command asks, on a real terminal: answered, refused, left by Ctrl-C; and what a command says where
// nobody can be asked. What counts is what became of it: at the broker, in the files, and of the terminal.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { DeviceList, GrantList, GrantView, RequestList } from '../../src/protocol/messages.ts';
import type { TestDevice } from '../support/device.ts';
import { part } from '../support/parts.ts';
import { runCli, startProcess } from '../support/process.ts';
import { type Keystroke, runCliTty, type TtyOptions, type TtyResult } from '../support/pty.ts';
import { tempDir } from '../support/temp.ts';
import { startTeam, type Team } from './team.ts';

const [CTRL_C, ENTER, DOWN] = ['\x03', '\r', '\x1b[B'];

let team: Team;
let dora: TestDevice;
let carla: TestDevice;
beforeAll(async () => {
  team = await startTeam();
  [dora, carla] = [await team.device('dora'), await team.device('carla')];
});

async function tty(
  user: string,
  args: string,
  keys: readonly Keystroke[],
  options: TtyOptions = {},
): Promise<TtyResult> {
  const result = await runCliTty(args.split(' ').filter(Boolean), {
    home: team.home[user],
    ...options,
    keys,
  });
  expect(result.text).not.toMatch(/^\s+at |something went wrong/m);
  expect(result.restored).toBe(true);
  return result;
}

function expectLeft({ code, text }: TtyResult): void {
  expect({ code, text }).toEqual({ code: 130, text: expect.stringContaining('nothing was changed') });
}

async function expectUsage(args: readonly string[], named: string, home: string | undefined): Promise<void> {
  const { code, stdout, stderr } = await runCli(args, { home });
  expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: expect.stringContaining(named) });
}

async function activeGrants(): Promise<GrantView[]> {
  const { result } = await dora.get<GrantList>('/v1/grants?all=true');
  return result.grants.filter(({ state }) => state === 'active');
}

async function waitingRequests(): Promise<string[]> {
  return (await carla.get<RequestList>('/v1/approvals')).result.requests.map(({ id }) => id);
}

async function devicesOf(user: string): Promise<DeviceList['devices']> {
  return (await dora.get<DeviceList>(`/v1/devices?user=${user}`)).result.devices;
}

/** Nothing that a key or an enrolment would be in. */
function expectNotEnrolled(home: string): void {
  expect(existsSync(join(home, 'oncall/config/config.yaml'))).toBe(false);
  const keys = join(home, 'oncall/state/keys');
  expect(existsSync(keys) ? readdirSync(keys) : []).toEqual([]);
}

describe.skipIf(!part('pty'))('oncall revoke', () => {
  let grant: string;
  const args = () => `revoke ${grant}`;

  beforeEach(async () => {
    await team.as('ana', 'request db-host -i P1-1');
    grant = (await activeGrants())[0]!.id;
  });
  const isActive = async () => (await activeGrants()).some(({ id }) => id === grant);

  it.each([
    ['Ctrl-C at the reason', [{ when: 'why?', type: CTRL_C }]],
    [
      'Ctrl-C at the confirmation',
      [
        { when: 'why?', type: `drill${ENTER}` },
        { when: 'now?', type: CTRL_C },
      ],
    ],
    [
      'no',
      [
        { when: 'why?', type: `drill${ENTER}` },
        { when: 'now?', type: `n${ENTER}` },
      ],
    ],
    [
      'Enter alone',
      [
        { when: 'why?', type: `drill${ENTER}` },
        { when: 'now?', type: ENTER },
      ],
    ],
  ])('%s takes nothing', async (_name, keys) => {
    expectLeft(await tty('dora', args(), keys));
    expect(await isActive()).toBe(true);
  });

  it('yes takes what was shown', async () => {
    const { code, text } = await tty('dora', `${args()} -r drill`, [{ when: 'now?', type: `y${ENTER}` }]);
    expect(code).toBe(0);
    expect(text).toMatch(/ana .*db-host:operator|db-host:operator .*ana/);
    expect(await isActive()).toBe(false);
  });

  it('names what is missing where nobody can be asked', async () => {
    await expectUsage(['revoke', grant, '-r', 'drill'], '--yes', team.home.dora);
    await expectUsage(['revoke', grant, '-y'], '--reason', team.home.dora);
    expect(await isActive()).toBe(true);
  });
});

describe.skipIf(!part('pty'))('oncall deny', () => {
  it('left at the reason leaves the request waiting; a reason denies it', async () => {
    const id = await team.askForApproval();
    expectLeft(await tty('carla', `deny ${id}`, [{ when: 'why not?', type: CTRL_C }]));
    await expectUsage(['deny', id], '--reason', team.home.carla);
    expect(await waitingRequests()).toEqual([id]);
    const { code } = await tty('carla', `deny ${id}`, [{ when: 'why not?', type: `use staging${ENTER}` }]);
    expect(code).toBe(0);
    expect(await waitingRequests()).toEqual([]);
  });
});

describe.skipIf(!part('pty'))('a choice', () => {
  beforeEach(async () => {
    await team.as('ana', 'release --all');
  });

  it('of what to request: Ctrl-C requests nothing, a choice that alone', async () => {
    const which = 'which access do you need?';
    expectLeft(await tty('ana', 'request -i P1-1', [{ when: which, type: CTRL_C }]));
    await expectUsage(['request'], 'no target is named', team.home.ana);
    // The incident alone would be its bundle, and it has none.
    expect(await team.as('ana', 'request -i P1-1')).toMatchObject({ code: 1 });
    expect(await tty('ana', 'request -i P1-9', [])).toMatchObject({ code: 1 });
    expect(await activeGrants()).toEqual([]);
    // Enter without a choice is no answer.
    const { code } = await tty('ana', 'request -i P1-1', [
      { when: 'short-lived:operator', type: ENTER },
      { when: 'At least one', type: ` ${ENTER}` },
    ]);
    expect(code).toBe(0);
    expect((await activeGrants()).map(({ target }) => target.resource)).toEqual(['db-host']);
  });

  it('of what to release: Ctrl-C gives nothing back, a choice that alone', async () => {
    expect(await team.as('ana', 'request db-host short-lived -i P1-1')).toMatchObject({ code: 0 });
    const which = 'what do you give back?';
    expectLeft(await tty('ana', 'release', [{ when: which, type: CTRL_C }]));
    await expectUsage(['release'], '--all', team.home.ana);
    const ids = (await activeGrants()).map(({ id }) => id);
    expect(ids).toHaveLength(2);
    const files = () => readdirSync(join(team.home.ana!, 'oncall/run/grants'));
    expect(files()).toEqual(expect.arrayContaining(ids));
    expect((await tty('ana', 'release', [{ when: which, type: ` ${ENTER}` }])).code).toBe(0);
    const left = (await activeGrants()).map(({ id }) => id);
    expect(left).toHaveLength(1);
    expect(files().filter((id) => ids.includes(id))).toEqual(left);
  });
});

describe.skipIf(!part('pty'))('a passphrase of the keystore file', () => {
  const SECRET = 'correct horse battery';
  let invitation: string;
  let home: string;
  const enrol = () => `enroll ${invitation} --keystore file --passphrase`;
  const NEW = 'new passphrase of this device';
  const AGAIN = 'the same again';

  beforeEach(async () => {
    invitation = await team.broker.invite('ben');
    home = tempDir();
  });

  it.each([
    ['Ctrl-C at the first question', 130, [{ when: NEW, type: CTRL_C }]],
    [
      'Ctrl-C at the second',
      130,
      [
        { when: NEW, type: `${SECRET}${ENTER}` },
        { when: AGAIN, type: CTRL_C },
      ],
    ],
    [
      'two different ones',
      2,
      [
        { when: NEW, type: `${SECRET}${ENTER}` },
        { when: AGAIN, type: `${SECRET}.${ENTER}` },
      ],
    ],
    ['none', 2, [{ when: NEW, type: ENTER }]],
  ])(
    '%s: nothing is enrolled, no key is left, and the invitation is as good as before',
    async (_name, code, keys) => {
      const before = (await devicesOf('ben')).length;
      const left = await tty('ben', enrol(), keys, { home });
      expect(left.code).toBe(code);
      expect(left.text).not.toContain(SECRET);
      expectNotEnrolled(home);
      expect(await devicesOf('ben')).toHaveLength(before);
      expect(await runCli(['enroll', invitation, '--keystore', 'file'], { home })).toMatchObject({ code: 0 });
    },
  );

  it('names the file to set where nobody can be asked', async () => {
    await expectUsage(enrol().split(' '), 'ONCALL_PASSPHRASE_FILE', home);
    expectNotEnrolled(home);
  });

  it('is asked for by each command, and never shown; a wrong one or none opens nothing', async () => {
    const typed = [
      { when: NEW, type: `${SECRET}${ENTER}` },
      { when: AGAIN, type: `${SECRET}${ENTER}` },
    ];
    const enrolled = await tty('ben', enrol(), typed, { home });
    expect({ code: enrolled.code, shown: enrolled.text.includes(SECRET) }).toEqual({ code: 0, shown: false });
    const [key] = readdirSync(join(home, 'oncall/state/keys'));
    expect(readFileSync(join(home, 'oncall/state/keys', key!), 'utf8')).toContain('"sealed"');

    const asked = 'passphrase of this device';
    const whoami = (type: string) => tty('ben', 'whoami', [{ when: asked, type }], { home });
    const right = await whoami(`${SECRET}${ENTER}`);
    expect({ code: right.code, shown: right.text.includes(SECRET) }).toEqual({ code: 0, shown: false });
    expect((await whoami(`wrong${ENTER}`)).code).toBe(9);
    expectLeft(await whoami(CTRL_C));
    expect((await runCli(['whoami'], { home })).code).toBe(9);

    const declare = 'incident declare P1-typed --service orders --priority P1';
    expectLeft(await tty('ben', declare, [{ when: asked, type: CTRL_C }], { home }));
    expect(await team.as('ben', 'incident show P1-typed')).toMatchObject({ code: 1 });
    // Eight commands, of which each derives a key at some cost.
  }, 60_000);
});

describe.skipIf(!part('pty'))('the first minute', () => {
  const ASKED = 'your invitation';
  const WHERE = 'where shall the keys';
  let home: string;
  let invitation: string;
  beforeEach(async () => {
    home = tempDir();
    invitation = await team.broker.invite('carla');
  });

  it.each([
    ['Enter alone', 0, [{ when: ASKED, type: ENTER }]],
    ['Ctrl-C', 130, [{ when: ASKED, type: CTRL_C }]],
    ['the end of input', 130, [{ when: ASKED, type: '\x04' }]],
    [
      'half an invitation, and Enter',
      0,
      [
        { when: ASKED, type: `https://broker:7443/#half${ENTER}` },
        { when: 'all of it', type: `${'\x7f'.repeat(25)}${ENTER}` },
      ],
    ],
    [
      'Ctrl-C at the keystore',
      130,
      [
        { when: ASKED, type: () => `${invitation}${ENTER}` },
        { when: WHERE, type: CTRL_C },
      ],
    ],
  ])('%s leaves everything as it was, and the invitation good', async (_name, code, keys) => {
    const typed = keys.map(({ when, type }) => ({ when, type: typeof type === 'string' ? type : type() }));
    const left = await tty('carla', '', typed, { home });
    expect({ code: left.code, restored: left.restored }).toEqual({ code, restored: true });
    expect(left.text).toContain('This machine is not enrolled yet');
    expectNotEnrolled(home);
    expect(await runCli(['enroll', invitation, '--keystore', 'file'], { home })).toMatchObject({ code: 0 });
  });

  it('takes the whole line that came with an invitation, and enrols; from then on shows the help', async () => {
    const { code, text } = await tty(
      'carla',
      '',
      [
        { when: ASKED, type: `oncall enroll "${invitation}"${ENTER}` },
        { when: WHERE, type: `${DOWN}${ENTER}` },
      ],
      { home },
    );
    expect({ code, enrolled: text.includes('enrolled') }).toEqual({ code: 0, enrolled: true });
    expect(await runCli(['whoami'], { home })).toMatchObject({ code: 0 });
    expect(await runCli([], { home })).toMatchObject({ code: 0, stderr: '' });
  });

  it('of oncall enroll asks for nothing that was said', async () => {
    const { code } = await tty(
      'carla',
      'enroll --keystore file',
      [{ when: ASKED, type: `${invitation}${ENTER}` }],
      {
        home,
      },
    );
    expect(code).toBe(0);
    // Whoever is enrolled is asked nothing at all.
    const again = await tty('carla', 'enroll', [], { home });
    expect({ code: again.code, asked: again.text.includes(ASKED) }).toEqual({ code: 1, asked: false });
  });
});

describe.skipIf(!part('pty') || !part('sshd'))('which key of the ssh-agent', () => {
  let env: Record<string, string>;
  const lines: string[] = [];
  let invitation: string;
  let home: string;
  const args = () => `enroll ${invitation} --keystore ssh-agent`;
  const which = 'which key is this device?';

  beforeAll(async () => {
    const folder = tempDir();
    env = { SSH_AUTH_SOCK: join(folder, 'agent') };
    const agent = startProcess('ssh-agent', ['-D', '-a', env.SSH_AUTH_SOCK!], { input: '' });
    await agent.waitForOutput('SSH_AUTH_SOCK');
    for (const [name, type] of [
      ['laptop', 'ed25519'],
      ['yubikey', 'ecdsa'],
    ] as const) {
      const key = join(folder, name);
      execFileSync('ssh-keygen', ['-q', '-t', type, '-N', '', '-C', `ana@${name}`, '-f', key]);
      execFileSync('ssh-add', [key], { env: { ...process.env, ...env }, stdio: 'ignore' });
      lines.push(readFileSync(`${key}.pub`, 'utf8').split(' ')[1]!);
    }
  });
  beforeEach(async () => {
    invitation = await team.broker.invite('ana');
    home = tempDir();
  });

  it('left by Ctrl-C enrols nothing', async () => {
    const before = (await devicesOf('ana')).length;
    expectLeft(await tty('ana', args(), [{ when: which, type: CTRL_C }], { home, env }));
    expectNotEnrolled(home);
    expect(await devicesOf('ana')).toHaveLength(before);
  });

  it('is asked where several fit, and the chosen one is this device', async () => {
    const keys = [{ when: 'yubikey', type: `${DOWN}${ENTER}` }];
    const { code } = await tty('ana', args(), keys, { home, env });
    expect(code).toBe(0);
    const config = readFileSync(join(home, 'oncall/config/config.yaml'), 'utf8');
    expect({ first: config.includes(lines[0]!), second: config.includes(lines[1]!) }).toEqual({
      first: false,
      second: true,
    });
    expect(await runCli(['whoami'], { home, env })).toMatchObject({ code: 0 });
  });

  it('has to be named where nobody can be asked', async () => {
    const { code, stderr } = await runCli(args().split(' '), { home, env });
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('--agent-key') });
    expectNotEnrolled(home);
    expect(await runCli([...args().split(' '), '--agent-key', 'laptop'], { home, env })).toMatchObject({
      code: 0,
    });
  });
});
