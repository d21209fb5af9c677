// What every command writes with --json, from a real broker with real people, held to the schema that is published for it.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createContext } from '../../src/cli/create-context.ts';
import { reportFailure } from '../../src/cli/failure.ts';
import type { Io } from '../../src/cli/io.ts';
import { outputs } from '../../src/cli/outputs.ts';
import { parseCommandLine } from '../../src/cli/program.ts';
import { type EndSignal, Signals } from '../../src/cli/signals.ts';
import { checkOutput, objectsIn } from '../support/outputs.ts';
import { tempDir } from '../support/temp.ts';
import { memoryScreen } from './stage.ts';
import { startTeam, type Team } from './team.ts';

type Json = Record<string, unknown>;

/** Seen elsewhere: a console needs a cloud (e2e/aws.test.ts), a review an override (cli/commands.test.ts, broker/reviews.test.ts),
 * a warning something to warn of (cli/io.test.ts). */
const ELSEWHERE = [
  ...['break-glass', 'break-glass.rotate', 'broker.host.add', 'broker.host.remove', 'console'],
  ...['drill', 'host.init', 'host.status', 'reviews.show', 'reviews.close', 'warning'],
];

describe('every command', () => {
  const seen = new Set<string>();
  const folder = tempDir();
  const brokerDir = join(folder, 'broker');
  let team: Team;

  beforeAll(async () => {
    team = await startTeam();
  }, 60_000);

  /** In this process, as main.ts would; what was written, on whichever stream. */
  async function run(user: string, line: string, home = team.home[user]): Promise<Json> {
    const [out, err] = [memoryScreen(false), memoryScreen(false)];
    const io: Io = {
      stdout: out.screen,
      stderr: err.screen,
      stdin: { isTerminal: false, stream: undefined },
    };
    const env = { HOME: home, ONCALL_HOME: join(home ?? '', 'oncall'), ONCALL_AGENT: 'off' };
    const argv = [...line.split(' '), '--json'];
    try {
      const parsed = await parseCommandLine(argv);
      if (parsed.kind !== 'command') throw new Error(`${line} is no command`);
      const signals = new Signals({ on: (_: EndSignal) => {} });
      const context = createContext({
        ...{ io, env, now: Date.now, signals, keychainChild: [], exitWith: () => {} },
        agentProgram: ['/usr/bin/node', '/opt/oncall/dist/agent.js'],
        completionsDir: 'completions',
        ...parsed.common,
      });
      await parsed.run(context).finally(() => context.close());
    } catch (error) {
      await reportFailure(error, { io, format: 'json', env, now: Date.now() });
    }
    // Nothing else than objects, on either stream.
    expect(err.text()).not.toMatch(/^oncall: /m);
    const values = [out.text(), err.text()].flatMap(objectsIn);
    for (const value of values) {
      checkOutput(value);
      seen.add(String(value.schema).replace(/^oncall\.|\/v1$/g, ''));
    }
    const [result] = values.filter(({ schema }) => schema !== 'oncall.note/v1');
    if (result === undefined) throw new Error(`${line} wrote nothing`);
    return result;
  }

  const all = async (user: string, ...lines: string[]) => {
    for (const line of lines) await run(user, line);
  };

  it('that asks for, uses and gives back access', async () => {
    await all(
      'ana',
      'whoami',
      'resources',
      'status --refresh',
      'status',
      'incident list',
      'incident show P1-1',
    );
    await all(
      'ana',
      'explain db-host -i P1-1',
      'request db-host -i P1-1',
      'status --check db-host',
      'grants',
    );
    await all('ana', 'renew db-host', 'credential db-host', 'status', 'release db-host');
    expect(await run('ana', 'request db-host')).toMatchObject({ request: { state: 'denied' } });
    expect(await run('ana', 'request nothing')).toMatchObject({
      code: 'not_found',
      correlationId: expect.any(String),
    });
  });

  it('that waits for people and answers them', async () => {
    const ask = async (more: string) => {
      const { request } = await run('ana', `request db-host -i OWN-1 --no-wait ${more}`);
      return request as { id: string; state: string };
    };
    const first = await ask('-r one');
    await all('carla', 'approvals', `approve ${first.id}`);
    await all('ana', `wait ${first.id}`, 'revoke --user ana -r over -y');
    await all('dora', 'revoke --user ana -r over -y', 'reviews list');
    const second = await ask('-r two');
    await run('carla', `deny ${second.id} -r no`);
    const third = await ask('-r three --key pipeline-1');
    await run('ana', `cancel ${third.id}`);
    // The same request, whatever became of it; another key is another one.
    expect(await ask('-r three --key pipeline-1')).toMatchObject({ id: third.id, state: 'cancelled' });
    expect(await ask('-r three --key pipeline-2')).toMatchObject({ state: 'pending' });
  });

  it('that waited in vain is typed again, and finds the yes that came meanwhile', async () => {
    const line = 'request db-host -i OWN-1 -r late --wait --timeout';
    const gaveUp = await run('ana', `${line} 1s`);
    expect(gaveUp).toMatchObject({ code: 'timeout', exitCode: 8 });
    const { requestId } = gaveUp.details as { requestId: string };
    await run('carla', `approve ${requestId}`);
    expect(await run('ana', `${line} 5m`)).toMatchObject({ request: { id: requestId, state: 'granted' } });
  });

  it('that looks after incidents, devices, the agent and plain tools', async () => {
    await all('ben', 'incident declare P1-9 --service orders --priority P1', 'incident resolve P1-9');
    await all('ben', 'incident reopen P1-9', 'devices list', 'devices add', 'setup ssh');
    await all('ben', 'completion bash', 'agent status', 'agent stop', 'agent logs', 'agent install');
    const home = tempDir();
    const enrolled = await run('', `enroll ${await team.broker.invite('ben')} --keystore file`, home);
    await run('ben', `devices revoke ${(enrolled.device as { id: string }).id}`);
  });

  it('that reads the audit log', async () => {
    const file = join(folder, 'audit.ndjson');
    await all(
      'dora',
      'probe',
      'doctor',
      'break-glass list',
      'rollout',
      'audit list',
      `audit export -f ${file}`,
      `audit verify ${file}`,
    );
    expect(existsSync(file)).toBe(true);
    const { grants } = await run('dora', 'grants --all');
    expect(grants).toBeInstanceOf(Array);
    const { entries } = (await run('dora', 'audit list -n 200')) as {
      entries: { subject?: { handle?: string } }[];
    };
    const handle = entries.flatMap(({ subject }) => subject?.handle ?? [])[0];
    await run('dora', `audit who ${handle}`);
  });

  it('that is about a broker', async () => {
    const backup = join(folder, 'backup.db');
    await all(
      '',
      `broker init ${brokerDir} --admin dora`,
      `broker check ${brokerDir}`,
      `broker unit ${brokerDir} --user oncall`,
      `broker host list --dir ${brokerDir}`,
    );
    const { directory } = team.broker;
    const target = `broker target db-host --dir ${directory}`;
    await all('', target, `broker invite dora --dir ${brokerDir}`, `broker migrate --dir ${brokerDir}`);
    await all(
      '',
      `broker backup ${backup} --dir ${brokerDir}`,
      `broker restore ${backup} --dir ${brokerDir}`,
    );
    await all('', `broker rotate tls --dir ${brokerDir}`, `broker rotate tokens --dir ${brokerDir}`);
  });

  it('was seen, here or where it can be', () => {
    expect(
      Object.keys(outputs)
        .filter((name) => !seen.has(name))
        .sort(),
    ).toEqual([...ELSEWHERE].sort());
  });
});
