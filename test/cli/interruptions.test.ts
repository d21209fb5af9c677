// Ctrl-C and SIGTERM while a command waits: for an approval, for a child, for a broker that does not answer. The wait ends,
// what was asked for stands, and the command says how to go on.
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { StatusReply } from '../../src/protocol/messages.ts';
import { atEnd } from '../support/at-end.ts';
import type { TestDevice } from '../support/device.ts';
import { install } from '../support/installation.ts';
import { part } from '../support/parts.ts';
import { startCli } from '../support/process.ts';
import { runCliTty } from '../support/pty.ts';
import { tempDir } from '../support/temp.ts';
import { startTeam, type Team } from './team.ts';

const CTRL_C = '\x03';
const STATUS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

let team: Team;
let home: string;
let ana: TestDevice;
beforeAll(async () => {
  team = await startTeam();
  home = team.home.ana!;
  ana = await team.device('ana');
});

const status = async () => (await ana.get<StatusReply>('/v1/status')).result;

beforeEach(async () => {
  for (const { id } of (await status()).grants) await ana.post(`/v1/grants/${id}/release`);
});

/** Exactly this request waits; it is taken back, for the next test. */
async function expectWaiting(id: string | undefined): Promise<void> {
  expect((await status()).pending.map((request) => request.id)).toEqual([id]);
  expect(await ana.post(`/v1/requests/${id}/cancel`)).toMatchObject({ status: 200 });
}

const ASK = 'db-host -i OWN-1 -r test';
/** Must not have run. */
const witness = () => join(tempDir(), 'it-ran');

describe.each(SIGNALS)('%s', (signal) => {
  it.each([
    ['request', () => `request ${ASK} --wait`],
    ['request --json', () => `request ${ASK} --wait --json`],
    ['run', () => `run ${ASK} -- touch`],
  ])('ends the wait of %s; the request goes on waiting', async (name, args) => {
    const file = witness();
    const words = [...args().split(' '), ...(name === 'run' ? [file] : [])];
    const waiting = startCli(words, { home });
    await waiting.waitForOutput(/req_\w+ waits for/);
    waiting.kill(signal);
    expect(await waiting.ended).toEqual({ code: STATUS[signal], signal: null });
    const [id] = /req_\w+/.exec(waiting.stderr()) ?? [];
    expect(waiting.stderr()).toContain(`oncall wait ${id}`);
    expect(waiting.output()).not.toMatch(/^\s+at /m);
    if (name === 'request --json') expect(waiting.stderr()).toContain('"code": "interrupted"');
    expect(waiting.stdout()).toBe('');
    expect(existsSync(file)).toBe(false);
    await expectWaiting(id);
  });

  it('ends oncall wait; the request goes on waiting', async () => {
    const id = await team.askForApproval();
    const waiting = startCli(['wait', id], { home });
    await waiting.waitForOutput('waits for');
    waiting.kill(signal);
    expect(await waiting.ended).toEqual({ code: STATUS[signal], signal: null });
    expect(waiting.stderr()).toContain(`oncall wait ${id}`);
    await expectWaiting(id);
  });

  it('reaches the child of run, whose own code is ours, and the grant stands', async () => {
    const script = `trap 'echo got it; exit 9' TERM INT HUP; echo ready; while :; do sleep 0.05; done`;
    const child = startCli(['run', 'db-host', '-i', 'P1-1', '--', 'sh', '-c', script], { home });
    await child.waitForOutput('ready');
    child.kill(signal);
    expect(await child.ended).toMatchObject({ code: 9 });
    expect(child.stdout()).toContain('got it');
    expect(await team.as('ana', 'run db-host --no-request -- true')).toMatchObject({ code: 0 });
  });

  it('that ends the child of run is told as its shell would', async () => {
    const words = ['run', 'db-host', '-i', 'P1-1', '--', 'sh', '-c', 'echo ready; exec sleep 60'];
    const child = startCli(words, { home });
    await child.waitForOutput('ready');
    child.kill(signal);
    expect(await child.ended).toEqual({ code: STATUS[signal], signal: null });
  });

  it('ends an enrolment whose broker does not answer; nothing is enrolled, and the code is good', async () => {
    const silent = createServer(() => undefined).listen(0, '127.0.0.1');
    atEnd(() => void silent.close());
    await once(silent, 'listening');
    const invitation = await team.broker.invite('ben');
    const url = invitation.replace(
      team.broker.url,
      `http://127.0.0.1:${(silent.address() as AddressInfo).port}`,
    );
    const connected = once(silent, 'connection');
    const here = tempDir();
    const waiting = startCli(['enroll', url, '--keystore', 'file'], { home: here });
    await connected;
    waiting.kill(signal);
    expect(await waiting.ended).toEqual({ code: STATUS[signal], signal: null });
    expect(existsSync(join(here, 'oncall/config/config.yaml'))).toBe(false);
    const again = startCli(['enroll', invitation, '--keystore', 'file'], { home: here });
    expect(await again.ended).toMatchObject({ code: 0 });
  });
});

describe.skipIf(!part('pty')).each(['SIGTERM', 'SIGHUP'] as const)('%s on a terminal', (signal) => {
  const PASTE = 'your invitation';
  it.each([
    ['an invitation', [], [{ when: PASTE, signal }]],
    ['a choice', ['request', '-i', 'P1-1'], [{ when: 'which access do you need', signal }]],
    ['a reason', ['deny', 'req_01abc'], [{ when: 'why not?', signal }]],
    ['a passphrase', ['enroll', '--keystore', 'file', '--passphrase'], [{ when: 'new passphrase', signal }]],
    ['a question of yes or no', ['revoke', '--user', 'ben', '-r', 'drill'], [{ when: 'now?', signal }]],
  ])('at %s ends the command, and leaves the terminal as it was', async (name, words, keys) => {
    if (name === 'a question of yes or no') {
      expect(await team.as('ana', 'request db-host -i P1-1')).toMatchObject({ code: 0 });
      words = ['revoke', (await status()).grants[0]?.id ?? '', '-r', 'drill'];
    }
    const isNew = name === 'an invitation' || name === 'a passphrase';
    if (name === 'a passphrase') words = [...words, await team.broker.invite('ben')];
    const who = name === 'a question of yes or no' ? team.home.dora : home;
    const left = await runCliTty(words, { home: isNew ? tempDir() : who, keys });
    expect({ code: left.code, restored: left.restored }).toEqual({ code: STATUS[signal], restored: true });
    expect(left.text).not.toMatch(/^\s+at |something went wrong/m);
    if (name === 'a question of yes or no') expect((await status()).grants).toHaveLength(1);
  });

  it('ends a wait that is shown by a spinner', async () => {
    const keys = [{ when: 'waiting on', signal }];
    const { code, text, restored } = await runCliTty(`request ${ASK} --wait`.split(' '), { home, keys });
    expect({ code, restored }).toEqual({ code: STATUS[signal], restored: true });
    await expectWaiting(/req_\w+/.exec(text)?.[0]);
  });

  it('ends status --watch', async () => {
    const keys = [{ when: /\S/, signal }];
    const watch = await runCliTty(['status', '--watch'], { home, keys });
    expect(watch).toMatchObject({ code: STATUS[signal], restored: true });
  });
});

describe.skipIf(!part('pty'))('Ctrl-C on a terminal', () => {
  it.each([
    ['request', `request ${ASK} --wait`],
    ['run', `run ${ASK} -- true`],
  ])('ends the wait of %s and leaves the terminal as it was', async (_name, args) => {
    const keys = [{ when: 'waiting on', type: CTRL_C }];
    const { code, text, restored } = await runCliTty(args.split(' '), { home, keys });
    expect({ code, restored }).toEqual({ code: 130, restored: true });
    const [id] = /req_\w+/.exec(text) ?? [];
    expect(text).toContain(`oncall wait ${id}`);
    expect(text).not.toMatch(/^\s+at /m);
    await expectWaiting(id);
  });

  it('ends oncall wait and leaves the terminal as it was', async () => {
    const id = await team.askForApproval();
    const keys = [{ when: 'waiting on', type: CTRL_C }];
    const { code, restored } = await runCliTty(['wait', id], { home, keys });
    expect({ code, restored }).toEqual({ code: 130, restored: true });
    await expectWaiting(id);
  });

  it('is heard once by the child of run, which may go on', async () => {
    const script = `trap 'echo heard' INT; echo ready; until read line; do :; done; echo "read $line"; exit 4`;
    const { code, text, restored } = await runCliTty(
      ['run', 'db-host', '-i', 'P1-1', '--', 'sh', '-c', script],
      {
        home,
        keys: [
          { when: 'ready', type: CTRL_C },
          { when: 'heard', type: 'on\r' },
        ],
      },
    );
    expect({ code, restored }).toEqual({ code: 4, restored: true });
    expect(text.match(/heard/g)).toHaveLength(1);
    expect(text).toContain('read on');
  });

  it('ends status --watch', async () => {
    const keys = [{ when: /\S/, type: CTRL_C }];
    const watch = await runCliTty(['status', '--watch'], { home, keys });
    expect(watch).toMatchObject({ code: 130, restored: true });
  });

  it('stops a broker that serves, which says so', async () => {
    const { directory } = await install();
    const keys = [
      { when: '"serving"', type: CTRL_C },
      { when: '"stopped"', type: '' },
    ];
    const serve = await runCliTty(['broker', 'serve', directory], { keys });
    expect(serve).toMatchObject({ code: 0, restored: true });
    expect(serve.text).not.toMatch(/^\s+at /m);
  });
});
