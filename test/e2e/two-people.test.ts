// What takes two: approvals from another person's machine, and access taken away by others, seen at a real database.
import { beforeAll, describe, expect, it } from 'vitest';
import type { GrantView, RequestList, RequestView } from '../../src/protocol/messages.ts';
import { part } from '../support/parts.ts';
import { startCli } from '../support/process.ts';
import { runCliTty } from '../support/pty.ts';
import { bringDatabase } from './target-guide.ts';
import { errorOf, type Json, succeeded, type World } from './world.ts';

interface Asked {
  request: RequestView;
  credentials: { handle: string }[];
}

const INSERT = ['--', 'psql', '-XAtqc', 'insert into orders values (43) returning id'];

describe.skipIf(!part('postgres') || !part('psql'))('two people', () => {
  let world: World;
  const ana = (args: string, more: string[] = []) => world.as('ana', args, {}, more);

  /** Write access is never automatic: it waits for carla. */
  async function askForWrite(): Promise<string> {
    const asked = await ana('request db-replica:write -i P1-123 -r index --no-wait --json');
    expect({ code: asked.code, error: errorOf(asked) }).toEqual({ code: 8, error: 'pending' });
    return (asked.json() as Asked).request.id;
  }

  beforeAll(async () => {
    ({ world } = await bringDatabase());
    await world.serve();
    await world.enroll('ana', 'ben', 'carla', 'dora', 'sam');
    succeeded(await world.as('dora', 'incident declare P1-123 --service orders --priority P1'));
  }, 120_000);

  it('write access waits, is approved on another machine, and then works at the database', async () => {
    const id = await askForWrite();
    const { requests } = await world.json<RequestList>('carla', 'approvals');
    expect(requests.map((request) => request.id)).toEqual([id]);
    expect((await ana('run db-replica:write --no-request', INSERT)).code).toBe(125);

    const waiting = startCli(['wait', id, '--json'], { home: world.home('ana'), input: '' });
    // The beginning of the id is enough on the screen.
    succeeded(await world.as('carla', `approve ${id.slice(0, -4)} -d 30m`));
    expect(await waiting.ended).toMatchObject({ code: 0 });
    const { request, credentials } = JSON.parse(waiting.stdout()) as Asked;
    expect(request).toMatchObject({ state: 'granted', answers: [{ approver: 'carla', verdict: 'approve' }] });
    const [grant] = request.grants;
    expect(Date.parse(grant!.endsAt) - Date.now()).toBeLessThanOrEqual(30 * 60_000);
    expect(credentials).toHaveLength(1);
    expect(succeeded(await ana('run db-replica:write', INSERT)).stdout).toBe('43\n');
    succeeded(await ana('release db-replica:write'));
  });

  it('run waits for the approval itself, and then runs', async () => {
    const words = ['run', 'db-replica:write', '-i', 'P1-123', '-r', 'index', ...INSERT];
    const run = startCli(words, { home: world.home('ana'), input: '' });
    await run.waitForOutput(/req_\w+ waits for carla/);
    const { requests } = await world.json<RequestList>('carla', 'approvals');
    succeeded(await world.as('carla', `approve ${requests[0]!.id}`));
    expect(await run.ended).toMatchObject({ code: 0 });
    expect(run.stdout()).toBe('43\n');
    succeeded(await ana('release db-replica:write'));
  });

  it('nobody approves for themselves, and nobody who was not named', async () => {
    const id = await askForWrite();
    for (const user of ['ana', 'ben', 'sam']) {
      const { code } = await world.as(user, `approve ${id}`);
      expect({ user, refused: code !== 0 }).toEqual({ user, refused: true });
    }
    expect((await ana(`wait ${id} --timeout 1s`)).code).toBe(8);
    succeeded(await ana(`cancel ${id}`));
    expect((await ana(`wait ${id}`)).code).toBe(6);
  });

  it('denied is exit 3, with the reason of who said no', async () => {
    const id = await askForWrite();
    const waiting = startCli(['wait', id, '--json'], { home: world.home('ana'), input: '' });
    succeeded(await world.as('carla', `deny ${id} --reason use-the-replica`));
    expect(await waiting.ended).toMatchObject({ code: 3 });
    expect(JSON.parse(waiting.stdout())).toMatchObject({
      request: { state: 'denied', answers: [{ approver: 'carla', reason: 'use-the-replica' }] },
    });
    // Who comes late is told the same.
    expect((await ana(`wait ${id}`)).code).toBe(3);
    expect((await world.as('carla', `approve ${id}`)).code).not.toBe(0);
  });

  it('security takes all that one person holds, while a session is open', async () => {
    succeeded(await ana('request db-replica -i P1-123'));
    const session = startCli(['run', 'db-replica', '--', 'psql', '-XAt'], { home: world.home('ana') });
    session.write("select 'open';\n");
    await session.waitForOutput('open');
    expect((await world.as('ben', 'revoke --user ana -r no -y')).code).toBe(3);

    const revoked = await world.json<{ grants: GrantView[] }>('sam', 'revoke --user ana -r stolen-laptop -y');
    expect(revoked.grants).toMatchObject([
      { user: 'ana', state: 'ended', endCause: expect.stringContaining('sam') },
    ]);
    session.write("select 'still here';\n");
    session.endInput();
    expect((await session.ended).code).not.toBe(0);
    expect(session.output()).not.toContain('still here\n');
    const refused = await ana('run db-replica --no-request', INSERT);
    expect(refused.code).toBe(125);
    expect((await ana('status --refresh --json')).json() as Json).toMatchObject({ grants: [] });
  });

  it.skipIf(!part('pty'))('revoke shows whom it hits and asks; no leaves everything as it is', async () => {
    succeeded(await ana('request db-replica -i P1-123'));
    const args = ['revoke', '--resource', 'db-replica', '-r', 'drill'];
    const asked = await runCliTty(args, {
      home: world.home('sam'),
      keys: [{ when: 'now?', type: 'n\r' }],
    });
    expect(asked.code).toBe(130);
    expect(asked.text).toMatch(/ana .*db-replica:read|db-replica:read .*ana/);
    succeeded(await ana('run db-replica --no-request', ['--', 'psql', '-XAtc', 'select 1']));
    succeeded(await ana('release --all'));
  });
});
