// Break-glass as it is typed: what it asks, what it says, what it ends with, and whose word it takes for a decision.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { resolvePaths } from '../../src/client/paths.ts';
import { atEnd } from '../support/at-end.ts';
import { part } from '../support/parts.ts';
import { type CliResult, runCli } from '../support/process.ts';
import { runCliTty } from '../support/pty.ts';
import { tempDir } from '../support/temp.ts';
import { startTeam, type Team } from './team.ts';

const REASON = 'orders cannot be paid';
const ENTER = '\r';

let team: Team;
let stop: () => Promise<void>;
beforeAll(async () => {
  team = await startTeam({
    hostMore: '    breakGlass: { window: 20m }',
    more: 'breakGlass: { notify: [carla] }',
  });
  stop = team.stop;
});
afterEach(async () => {
  for (const user of ['ana', 'ben']) await team.as(user, 'release');
});

const glass = (user: string, ...args: string[]) =>
  runCli(['break-glass', ...args], { home: team.home[user] });

describe('oncall break-glass', () => {
  it('opens, says who hears of it, and shows loudly wherever one looks', async () => {
    const { code, stdout, stderr } = await glass('ben', 'db-host', '--reason', REASON);
    expect({ code, stderr }).toMatchObject({ code: 0 });
    expect(stdout).toMatch(/^BREAK-GLASS db-host:operator until .* gr_/);
    expect(stdout).toContain('told: carla');
    const status = await team.as('ben', 'status');
    expect(status.stdout).toMatch(
      /^BREAK-GLASS db-host:operator ends in \d+m\w*; oncall release db-host:operator/,
    );
    expect(status.stdout).toMatch(/db-host:operator +BREAK-GLASS /);
    const { promptFile } = resolvePaths({ ONCALL_HOME: join(team.home.ben ?? '', 'oncall') }, 'default');
    expect(readFileSync(promptFile, 'utf8')).toMatch(/ BREAK-GLASS db-host:operator$/m);
    const renewed = await team.as('ben', 'renew db-host');
    expect(renewed.code).toBe(3);
    expect(renewed.stderr).toContain('oncall break-glass db-host:operator --reason');
    const released = await team.as('ben', 'release db-host');
    expect(released.stdout).toContain('db-host:operator');
    expect((await team.as('ben', 'status')).stdout).toContain('holds no access');
  });

  it('is one object in JSON', async () => {
    const result = (await glass('ana', 'db-host', '--reason', REASON, '--json')).json();
    expect(result).toMatchObject({
      schema: 'oncall.break-glass/v1',
      request: { state: 'granted', grants: [{ via: 'break-glass' }] },
      credentials: [{ target: { resource: 'db-host', role: 'operator' } }],
    });
  });

  it.each([
    ['no reason', ['db-host'], '--reason is missing'],
    ['a word', ['db-host', '--reason', 'urgent'], 'shorter than 10'],
    ['no target', ['--reason', REASON], 'it is possible on db-host'],
    ['an incident without a bundle', ['-i', 'P1-1', '--reason', REASON], 'it is possible on db-host'],
  ])('in a script wants it all said: %s', async (_, args, named) => {
    const { code, stdout, stderr } = await glass('ana', ...args);
    expect({ code, stdout, stderr }).toMatchObject({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining(named),
    });
  });

  it('ends with 3 where the broker says no, and does not look for another way', async () => {
    const denied = await glass('carla', 'db-host', '--reason', REASON);
    expect(denied).toMatchObject({ code: 3, stderr: expect.stringContaining('no rule permits it') });
    const elsewhere = await glass('ben', 'short-lived', '--reason', REASON);
    expect(elsewhere.code).toBe(3);
    expect(elsewhere.stderr).toContain('there is no break-glass on short-lived');
    expect(elsewhere.stderr).toContain('it is possible on db-host:operator');
    expect(elsewhere.stderr).not.toContain('does not decide');
  });

  it('is what a refused request names as the next step, and explain', async () => {
    const refused = await team.as('ben', 'request db-host');
    expect(refused).toMatchObject({
      code: 3,
      stderr: expect.stringContaining('oncall break-glass db-host --reason'),
    });
    expect((await team.as('ben', 'explain db-host')).stdout).toContain('oncall break-glass db-host --reason');
    expect((await team.as('carla', 'explain db-host')).stdout).not.toContain('break-glass');
  });
});

describe.skipIf(!part('pty'))('on a terminal', () => {
  it('asks for the reason, offers what is possible, and wants to hear yes', async () => {
    const keys = [
      { when: 'what is broken', type: `${REASON}${ENTER}` },
      { when: 'which access', type: ` ${ENTER}` },
      { when: 'open db-host:operator now', type: `y${ENTER}` },
    ];
    const { code, text } = await runCliTty(['break-glass'], { home: team.home.ana, keys });
    expect({ code, text }).toMatchObject({
      code: 0,
      text: expect.stringContaining('BREAK-GLASS db-host:operator'),
    });
  });

  it('opens nothing without the yes', async () => {
    const keys = [
      { when: 'which access', type: ` ${ENTER}` },
      { when: 'open db-host:operator now', type: ENTER },
    ];
    const args = ['break-glass', '--reason', REASON];
    const { code, text } = await runCliTty(args, { home: team.home.ana, keys });
    expect({ code, text }).toMatchObject({ code: 130, text: expect.stringContaining('nothing was opened') });
    expect((await team.as('ana', 'status --refresh')).stdout).toContain('holds no access');
  });
});

describe('without a decision', () => {
  /** Neither opened by the broker nor refused by it: the pack that this device has fetched meanwhile opens. */
  function expectUndecided({ code, stdout, stderr }: CliResult, because: string): void {
    expect(stderr).toContain('the broker does not decide');
    expect(stderr).toContain(because);
    expect({ code, stdout }).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^BREAK-GLASS db-host:operator until .* bg_\w+ slot \d/),
    });
  }

  it('a portal that says no is no broker that says no', async () => {
    await stop();
    const nobody = await glass('ana', 'db-host', '--reason', REASON);
    expectUndecided(nobody, 'refuses connections');
    const body = {
      error: { code: 'denied', message: 'sign in first' },
      correlationId: 'cor_1',
      time: { now: new Date().toISOString(), nonce: 'x', signature: 'x' },
    };
    const portal = createServer((request, response) => {
      request.resume();
      response.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    });
    await new Promise<void>((resolve) =>
      portal.listen(Number(new URL(team.broker.url).port), '127.0.0.1', resolve),
    );
    atEnd(() => void portal.close());
    expectUndecided(await glass('ana', 'db-host', '--reason', REASON), 'not signed for this request');
    // Nobody says what is possible, so a script has to name it: what there are packs for.
    const unnamed = await glass('ana', '--reason', REASON);
    expect(unnamed).toMatchObject({ code: 2, stderr: expect.stringContaining('db-host:operator') });
  });

  it('on a device that is not enrolled there is none', async () => {
    const home = tempDir();
    const { code } = await runCli(['break-glass', 'db-host', '--reason', REASON], { home });
    expect(code).toBe(4);
  });
});
