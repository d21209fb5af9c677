// How agents come and go: started by commands, one at a time, and never left behind.
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { part } from '../support/parts.ts';
import { startCli } from '../support/process.ts';
import { startTimeOf } from '../support/process-tree.ts';
import { tempDir, waitFor } from '../support/temp.ts';
import { type AgentWorld, enrol, type Machine, machine, startAgentWorld } from './agent-world.ts';

describe.skipIf(!part('postgres'))('agents', () => {
  let world: AgentWorld;
  let ana: Machine;

  beforeAll(async () => {
    world = await startAgentWorld({ credential: '10m' });
  });
  beforeEach(async () => {
    ana = machine(tempDir());
    await enrol(world, ana);
  });

  const started = (on: Machine) => on.log().filter(({ event }) => event === 'started').length;

  it('of twenty commands at once are one', async () => {
    const [grant] = [await ana.request('db-replica -i P1-1', { env: { ONCALL_AGENT: 'off' } })];
    const commands = Array.from({ length: 20 }, () => ana.run('credential db-replica --format pgpass'));
    const results = await Promise.all(commands);
    expect(results.map(({ code, stderr }) => ({ code, stderr }))).toEqual(
      Array(20).fill({ code: 0, stderr: '' }),
    );
    await ana.logged('started');
    const { grants, pid } = await ana.status();
    expect(grants.map(({ id }) => id)).toEqual([grant.id]);
    expect({ started: started(ana), pids: ana.pids() }).toEqual({ started: 1, pids: [pid] });
  }, 60_000);

  it('are not started, and not used, where they are not wanted', async () => {
    for (const [args, env] of [
      ['request db-replica -i P1-1 --no-agent', {}],
      ['--no-agent request db-replica -i P1-1', {}],
      ['request db-replica -i P1-1', { ONCALL_AGENT: 'off' }],
    ] as const)
      expect((await ana.run(args, { env })).code).toBe(0);
    const file = ana.path('config/config.yaml');
    writeFileSync(file, readFileSync(file, 'utf8').replace('"user"', '"agent": "off",\n  "user"'));
    expect((await ana.run('run db-replica -- true')).code).toBe(0);
    expect({ socket: existsSync(ana.path('run/agent.sock')), started: started(ana) }).toEqual({
      socket: false,
      started: 0,
    });
    expect((await ana.json<{ running: boolean }>('agent status')).running).toBe(false);
  });

  it('hold the keys: later commands ask no keystore, and go their own way without the agent', async () => {
    await ana.request();
    await waitFor(async () => (await ana.status()).holdsKey, { what: 'the agent' });
    renameSync(ana.path('state/keys'), ana.path('state/elsewhere'));
    for (const args of ['whoami', 'grants', 'status --refresh', 'renew db-replica', 'run db-replica -- true'])
      expect({ args, code: (await ana.run(args)).code }).toEqual({ args, code: 0 });
    expect((await ana.run('whoami --no-agent')).code).toBe(4);
    await ana.kill();
    expect((await ana.run('whoami')).code).toBe(4);
    renameSync(ana.path('state/elsewhere'), ana.path('state/keys'));
    expect((await ana.run('whoami')).code).toBe(0);
  });

  it('that were killed are succeeded by the next command that holds something, over the socket they left', async () => {
    await ana.request();
    await waitFor(async () => (await ana.status()).running, { what: 'the agent' });
    const [first] = ana.pids();
    await ana.kill('SIGKILL');
    expect(existsSync(ana.path('run/agent.sock'))).toBe(true);
    expect((await ana.run('run db-replica -- true')).code).toBe(0);
    await waitFor(() => started(ana) === 2, { what: 'the next agent' });
    expect(ana.pids()).not.toContain(first);
    expect((await ana.status()).running).toBe(true);
  });

  it('of another version make room', async () => {
    await ana.request();
    await ana.logged('started');
    const before = (await ana.status()).pid;
    const folder = tempDir();
    const { cpSync, symlinkSync } = await import('node:fs');
    cpSync('bin', `${folder}/bin`, { recursive: true });
    cpSync('dist', `${folder}/dist`, { recursive: true });
    symlinkSync(`${process.cwd()}/node_modules`, `${folder}/node_modules`);
    const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
    for (const file of ['main.js', 'agent.js', 'fast.js']) {
      const text = readFileSync(`${folder}/dist/${file}`, 'utf8');
      writeFileSync(`${folder}/dist/${file}`, text.replaceAll(version, '9.9.9'));
    }
    const { startProcess, cleanEnvironment } = await import('../support/process.ts');
    const newer = startProcess(
      process.execPath,
      [`${folder}/bin/oncall`, 'run', 'db-replica', '--', 'true'],
      {
        env: { ...cleanEnvironment(ana.home), ONCALL_AGENT: 'on' },
        input: '',
      },
    );
    expect(await newer.ended).toMatchObject({ code: 0 });
    await waitFor(async () => (await ana.status()).version === '9.9.9', { what: 'the newer agent' });
    expect(startTimeOf(before)).toBeUndefined();
  });

  it('in the foreground end at Ctrl-C, and there is one at a time', async () => {
    const options = { home: ana.home, env: { ONCALL_AGENT: undefined } };
    const first = startCli(['agent'], options);
    await first.waitForOutput('"started"');
    await waitFor(async () => (await ana.status()).running, { what: 'its socket' });
    const second = startCli(['agent'], options);
    expect(await second.ended).toMatchObject({ code: 9 });
    expect(second.stderr()).toContain('oncall agent status');
    first.kill('SIGINT');
    expect(await first.ended).toMatchObject({ code: 0 });
    expect(existsSync(ana.path('run/agent.sock'))).toBe(false);
  });

  it('end when they are told to, and say what they did', async () => {
    await ana.request();
    await ana.logged('started');
    const { pid } = await ana.status();
    expect(await ana.json('agent stop')).toMatchObject({ stopped: true });
    expect(startTimeOf(pid)).toBeUndefined();
    expect(await ana.json('agent stop')).toMatchObject({ stopped: false });
    const { lines } = await ana.json<{ lines: { event: string }[] }>('agent logs');
    expect(lines.map(({ event }) => event)).toEqual(expect.arrayContaining(['started', 'ending', 'ended']));
    expect((await ana.run('agent logs')).stdout).toContain('started');
    expect((await ana.run('agent status')).stdout).toContain('no agent');
  });

  it('end when the folder that they are for is taken away', async () => {
    await ana.request();
    await ana.logged('started');
    // Past its first look, in whose middle it still writes.
    await waitFor(async () => (await ana.status()).grants.length === 1, { what: 'its first look' });
    const { pid } = await ana.status();
    rmSync(ana.path('run'), { recursive: true });
    await waitFor(() => startTimeOf(pid) === undefined, { what: 'the end of the agent' });
    // Nothing that it wrote last has made it anew.
    expect(existsSync(ana.path('run'))).toBe(false);
  });
});

describe.skipIf(!part('postgres'))('an agent that cannot open the keystore', () => {
  it('gets the keys from the next command', async () => {
    const world = await startAgentWorld();
    // Behind a passphrase that nobody can be asked for.
    const locked = machine(tempDir());
    const passphrase = `${locked.home}/passphrase`;
    writeFileSync(passphrase, 'correct horse', { mode: 0o600 });
    const env = { ONCALL_PASSPHRASE_FILE: passphrase };
    const enrolled = await locked.run(
      `enroll ${await world.installation.invite('ana')} --keystore file --passphrase`,
      { env },
    );
    expect({ code: enrolled.code, stderr: enrolled.stderr }).toMatchObject({ code: 0 });
    const agent = startCli(['agent'], { home: locked.home, env: { ONCALL_AGENT: undefined } });
    await agent.waitForOutput('keys.missing');
    expect((await locked.status()).holdsKey).toBe(false);
    expect((await locked.run('run db-replica -i P1-1 -- true', { env })).code).toBe(0);
    expect((await locked.status()).holdsKey).toBe(true);
    // No passphrase is needed any more.
    expect((await locked.run('whoami')).code).toBe(0);
  });
});
