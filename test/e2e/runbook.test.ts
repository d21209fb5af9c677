// A runbook step that needs a database and a host at once, behind an approval, while the broker restarts or the command dies. The tests
// are one story, in order.
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { part } from '../support/parts.ts';
import { startCli, type TestProcess } from '../support/process.ts';
import { SSH_LOGIN } from '../support/sshd.ts';
import { tempDir } from '../support/temp.ts';
import { bringTargets, type Targets } from './target-guide.ts';
import { succeeded, type World } from './world.ts';

interface Approvals {
  requests: { id: string; targets: { target: { resource: string; role: string } }[] }[];
}

const STEP = `#!/bin/sh
echo ran >>"$(dirname "$0")/ran"
psql -XAtc 'select current_user, count(*) from orders group by 1'
ssh -F "$ONCALL_SSH_CONFIG" db-host-1 whoami
`;

describe.skipIf(!part('postgres') || !part('psql') || !part('sshd'))('a runbook step', () => {
  let targets: Targets;
  let world: World;
  const folder = tempDir();
  const step = join(folder, 'step.sh');
  const ran = () => (existsSync(join(folder, 'ran')) ? readFileSync(join(folder, 'ran'), 'utf8') : '');

  beforeAll(async () => {
    writeFileSync(step, STEP);
    chmodSync(step, 0o755);
    targets = await bringTargets();
    world = targets.world;
    await world.serve();
    await world.enroll('ana', 'carla', 'dora');
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
  }, 120_000);

  async function startStep(): Promise<TestProcess> {
    const words = ['run', 'db-replica:write', 'db-host', '-i', 'P1-123', '-r', 'index', '--', './step.sh'];
    const child = startCli(words, { home: world.home('ana'), cwd: folder, input: '' });
    await child.waitForOutput(/req_\w+ waits for carla/, { timeoutMs: 20_000 });
    return child;
  }

  const pending = async () => (await world.json<Approvals>('carla', 'approvals')).requests;

  it('gets all it needs with one decision, though the broker restarts while it waits, and runs once', async () => {
    const waiting = await startStep();
    await world.stop();
    expect(waiting.running).toBe(true);
    await world.serve();
    const requests = await pending();
    expect(
      requests.map(({ targets }) => targets.map(({ target }) => `${target.resource}:${target.role}`)),
    ).toEqual([['db-replica:write', 'db-host:operator']]);
    expect([ran(), waiting.running]).toEqual(['', true]);
    succeeded(await world.as('carla', `approve ${requests[0]!.id}`));
    expect(await waiting.ended).toEqual({ code: 0, signal: null });
    expect(waiting.stdout()).toMatch(new RegExp(`^oncall_ana_\\w+\\|42\\n${SSH_LOGIN}\\n$`));
    expect(ran()).toBe('ran\n');
  });

  it('typed again after it died goes on waiting for the same answer, and asks nobody twice', async () => {
    succeeded(await world.as('ana', 'release --all'));
    const first = await startStep();
    const [asked] = await pending();
    first.kill('SIGKILL');
    await first.ended;
    const second = await startStep();
    expect((await pending()).map(({ id }) => id)).toEqual([asked!.id]);
    succeeded(await world.as('carla', `approve ${asked!.id}`));
    expect(await second.ended).toEqual({ code: 0, signal: null });
    expect(ran()).toBe('ran\nran\n');
  });
});
