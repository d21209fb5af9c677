// A chain of two stages whose first approver stays silent, as people at three machines see it: who was asked, who is next, and
// the grant that appears on a screen that nobody touches.
import { beforeAll, describe, expect, it } from 'vitest';
import type { IncidentView, RequestList, RequestView, ResourceList } from '../../src/protocol/messages.ts';
import { part } from '../support/parts.ts';
import { startCli, type TestProcess } from '../support/process.ts';
import { runCliTty } from '../support/pty.ts';
import { SSH_LOGIN } from '../support/sshd.ts';
import { freePort, waitFor } from '../support/temp.ts';
import { createWorld, NO_HOST_KEY, PEOPLE, sshResource, succeeded, type World } from './world.ts';

interface Watched {
  schema: string;
  grants: { target: { resource: string; role: string }; state: string; via: string }[];
  pending: { waiting: RequestView['waiting'] }[];
}

interface Waited {
  schema: string;
  request: RequestView;
  credentials: unknown[];
}

let world: World;

beforeAll(async () => {
  const host = { host: '127.0.0.1', port: await freePort() };
  const chain = `
  leads:
    expires: 1h
    stages:
      - { approvers: [sam], wait: 1s }
      - { approvers: [carla] }
`;
  const people = PEOPLE.replace(/\n {2}leads: .*\n/, chain).replace(
    'orders: { schedules: [orders-primary] }',
    'orders: { schedules: [orders-primary], bundle: orders-incident }',
  );
  const roles = `${sshResource(host, SSH_LOGIN, NO_HOST_KEY)}      admin: { login: ${SSH_LOGIN} }\n`;
  const bundles = 'bundles:\n  orders-incident: { targets: ["db-host:operator"] }\n';
  world = await createWorld(`${people}\nresources:${roles}${bundles}`);
  await world.serve();
  await world.enroll('ana', 'carla', 'dora', 'sam');
  succeeded(await world.as('dora', 'incident declare P1-1 --service orders --priority P1'));
}, 60_000);

function linesOf<T>(process: TestProcess): T[] {
  const whole = process.stdout().slice(0, process.stdout().lastIndexOf('\n') + 1);
  return whole
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T);
}

describe('a chain whose first approver is silent', () => {
  it('is seen going up, answered by the second, and the grant appears on the watch without polling', async () => {
    const home = world.home('ana');
    const watch = startCli(['status', '--watch', '-o', 'ndjson'], { home, input: '' });
    await watch.waitForOutput('oncall.status/v1');
    const words = ['request', 'db-host:admin', '-i', 'P1-1', '-r', 'index', '-o', 'ndjson'];
    const asking = startCli(words, { home, input: '' });

    await waitFor(() => linesOf<Waited>(asking).some(({ request }) => request.waiting[0]?.stage === 2), {
      what: 'the second stage',
      timeoutMs: 20_000,
    });
    const [first] = linesOf<Waited>(asking);
    expect(first).toMatchObject({
      schema: 'oncall.request/v1',
      request: {
        state: 'pending',
        waiting: [
          { stage: 1, stages: 2, asked: [{ user: 'sam' }], next: { what: 'next', approvers: ['carla'] } },
        ],
      },
    });
    await waitFor(() => linesOf<Watched>(watch).some(({ pending }) => pending[0]?.waiting[0]?.stage === 2), {
      what: 'the second stage on the watch',
    });

    const { requests } = await world.json<RequestList>('carla', 'approvals');
    succeeded(await world.as('carla', `approve ${requests[0]!.id}`));
    const approvedMs = performance.now();
    const granted = () => linesOf<Watched>(watch).find(({ grants }) => grants.length > 0);
    await waitFor(granted, { what: 'the grant on the watch' });
    // Where it polled it would ask every ten seconds.
    expect(performance.now() - approvedMs).toBeLessThan(5_000);
    expect(granted()?.grants).toMatchObject([
      { target: { resource: 'db-host', role: 'admin' }, state: 'active' },
    ]);
    expect(await asking.ended).toMatchObject({ code: 0 });
    const all = linesOf<Waited>(asking);
    expect(all.at(-1)).toMatchObject({ request: { state: 'granted' }, credentials: [{}] });
    expect(all.slice(0, -1).every(({ request }) => request.state === 'pending')).toBe(true);

    succeeded(await world.as('ana', 'release db-host:admin'));
    await waitFor(() => linesOf<Watched>(watch).at(-1)?.grants.length === 0, {
      what: 'the end on the watch',
    });
    expect(watch.stderr()).toBe('');
    watch.kill('SIGINT');
    expect(await watch.ended).toMatchObject({ code: 130 });
  });

  it.skipIf(!part('pty'))('a terminal shows where it stands while it waits, and how to go on', async () => {
    const words = ['request', 'db-host:admin', '-i', 'P1-1', '-r', 'index'];
    const keys = [{ when: 'stage 2 of 2: asked', type: '\x03' }];
    const { code, text } = await runCliTty(words, { home: world.home('ana'), keys });
    expect({ code, text }).toEqual({
      code: 130,
      text: expect.stringContaining('the request goes on: oncall wait'),
    });
    expect(text).toContain('waiting on leads, stage 2 of 2: asked sam');
    const { requests } = await world.json<RequestList>('carla', 'approvals');
    succeeded(await world.as('ana', `cancel ${requests[0]!.id}`));
  });

  it('the watch lives through a restart of the broker, and hears what happened meanwhile', async () => {
    const watch = startCli(['status', '--watch', '-o', 'ndjson'], { home: world.home('ana'), input: '' });
    await watch.waitForOutput('oncall.status/v1');
    await world.stop();
    await world.serve();
    succeeded(await world.as('dora', 'incident declare P1-2 --service orders --priority P1'));
    await watch.waitForOutput('P1-2', { timeoutMs: 20_000 });
    watch.kill('SIGINT');
    expect(await watch.ended).toMatchObject({ code: 130 });
  });

  it('an incident alone opens its bundle, however it is named; one that was closed opens again', async () => {
    const { bundles } = await world.json<ResourceList>('ana', 'resources');
    expect(bundles).toMatchObject([{ name: 'orders-incident' }]);
    const asked = await world.json<Waited>('ana', 'request -i #P1-1');
    expect(asked.request).toMatchObject({ state: 'granted', bundle: 'orders-incident', incident: 'P1-1' });
    const ran = await world.as('ana', 'run orders-incident --no-request --', {}, ['true']);
    expect({ code: ran.code, stderr: ran.stderr }).toEqual({ code: 0, stderr: '' });
    succeeded(await world.as('dora', 'incident resolve P1-1'));
    const reopened = await world.json<{ incident: IncidentView }>('dora', 'incident reopen P1-1');
    expect(reopened.incident).toMatchObject({ state: 'open' });
    expect(await world.json('dora', 'reviews list')).toMatchObject({ reviews: [] });
  });
});
