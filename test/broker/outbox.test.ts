// What people are told of requests, through real receivers: and what a receiver that does not work must never hold up.
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { RequestView, StatusReply } from '../../src/protocol/messages.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { atEnd } from '../support/at-end.ts';
import {
  type HttpReceiver,
  type Meets,
  startSlackReceiver,
  startWebhookReceiver,
} from '../support/receivers.ts';
import { freePort, waitFor } from '../support/temp.ts';
import { CHAINS, type ChainWorld, catalogueWith, MINUTE, startChainWorld } from './chain-world.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const SLACK = 'T0/B0/uNkNoWn24';

let world: ChainWorld;
let store: Store;
let hook: HttpReceiver;
let slack: HttpReceiver;
/** The next notice that was sent is not remembered as sent: as if the broker had died in between. */
let forgets = false;

const HOOK = () => `hook: { type: webhook, url: "${hook.url}", secret: { file: secrets/hook } }`;
const withChannels = (...channels: string[]) =>
  catalogueWith(CHAINS, `notify:\n  ${channels.join('\n  ')}\n`);

beforeAll(async () => {
  hook = await startWebhookReceiver({ secret: SECRET, now: () => world.now() });
  slack = await startSlackReceiver(SLACK);
  atEnd(hook.close);
  atEnd(slack.close);
  world = await startChainWorld({
    catalogue: withChannels(HOOK()),
    secrets: { hook: SECRET, slack: slack.url },
    broker: {
      decorate: {
        store: (real) => ({
          ...real,
          write: (work) =>
            real.write((tx) =>
              work({
                ...tx,
                async updateNotice(id, change) {
                  if (forgets && change.sentAt) {
                    forgets = false;
                    throw new Error('died');
                  }
                  await tx.updateNotice(id, change);
                },
              }),
            ),
        }),
      },
    },
  });
  store = await openSqliteStore({ file: join(world.installation.directory, 'oncall.db'), now: world.now });
  atEnd(() => store.close());
});

beforeEach(async () => {
  await use(HOOK());
  await world.post('dora', '/v1/revoke', { user: 'ana', reason: 'next case' });
});

async function use(...channels: string[]): Promise<void> {
  world.installation.write('catalogue.yaml', withChannels(...channels));
  await world.broker().reload();
}

const told = (receiver: HttpReceiver, id: string) =>
  receiver.accepted.map(({ body }) => JSON.parse(body)).filter((notice) => notice.id?.includes(id));
const rowsOf = (id: string) => store.read((tx) => tx.notices({ subject: id, limit: 50 }));
const reachOf = ({ waiting }: RequestView) => waiting[0]?.asked[0]?.reach;
const becomes = (id: string, reach: string) =>
  tryUntil(async () => reachOf(await world.show(id)) === reach, `reach ${reach}`);
const warnings = async () => (await world.get<StatusReply>('ana', '/v1/status')).result.warnings;
const metrics = async () => (await fetch(`${world.installation.url}/metrics`)).text();
/**
 * Brings the next try forward, again and again, until it is as said. A notice that found its channel busy is put off too, and the
 * clock here stands still: whoever waits for a notice to arrive has to wait like this.
 */
async function tryUntil(holds: () => boolean | Promise<boolean>, what: string): Promise<void> {
  const tried = async () => {
    if (await holds()) return true;
    const dueAt = await store.read((tx) => tx.nextJobAt(world.now(), ['notice']));
    if (dueAt !== undefined && dueAt > world.now()) world.pass(dueAt - world.now());
    return false;
  };
  await waitFor(tried, { what });
}
const tried = (id: string, attempts: number) =>
  tryUntil(async () => (await rowsOf(id)).some((row) => row.attempts >= attempts), `try ${attempts}`);

describe('people', () => {
  it('are told who wants what, why, for how long, by which stage, and what to type', async () => {
    const request = await world.ask('steps', 'ana', { reason: 'fix the index' });
    await becomes(request.id, 'sent');
    expect(told(hook, request.id)).toMatchObject([
      {
        kind: 'approval',
        to: [{ user: 'ben' }],
        who: 'ana',
        what: 'db:steps',
        why: 'fix the index',
        howLong: '2h',
        rule: 'steps, stage 1',
        command: `oncall approve ${request.id}`,
      },
    ]);
    world.pass(5 * MINUTE);
    await tryUntil(() => told(hook, request.id).length === 2, 'the second stage');
    expect(told(hook, request.id)[1]).toMatchObject({ to: [{ user: 'carla' }], rule: 'steps, stage 2' });
    await world.approve('carla', request);
    await tryUntil(() => told(hook, request.id).length === 3, 'the answer');
    expect(told(hook, request.id)[2]).toMatchObject({ kind: 'settled', to: [{ user: 'ana' }] });
    expect(hook.faults).toEqual([]);
  });

  it('who were asked are told of an override, and the owners of its review', async () => {
    const request = await world.ask('override');
    world.pass(5 * MINUTE);
    await world.until(request.id, ({ state }) => state === 'granted', 'the override');
    await tryUntil(() => told(hook, `override/${request.id}`).length === 1, 'the news');
    expect(told(hook, `override/${request.id}`)[0]).toMatchObject({
      kind: 'override',
      to: [{ user: 'ben' }],
    });
    const reviews = () =>
      hook.accepted.map(({ body }) => JSON.parse(body)).filter(({ kind }) => kind === 'review');
    await tryUntil(() => reviews().length > 0, 'the review');
    expect(reviews()[0]).toMatchObject({ to: [{ user: 'carla' }], who: 'ana' });
  });

  it('without an address are shown as not reached by e-mail, and nobody is warned', async () => {
    const port = await freePort();
    await use(`mail: { type: email, host: 127.0.0.1, port: ${port}, from: oncall@example.com }`);
    const request = await world.ask('parties');
    const reach = Object.fromEntries(request.waiting[0]!.asked.map(({ user, reach }) => [user, reach]));
    expect(reach).toMatchObject({ dora: 'none', carla: 'sending' });
    await world.deny('carla', request);
    // Ana, who is told of the answer, has no address at all.
    expect((await rowsOf(request.id)).map(({ id }) => id.split('/')[0])).toEqual(['approval']);
  });
});

function arranged(meets: Meets): string {
  hook.meet(meets, meets, meets);
  return HOOK();
}

describe('a channel', () => {
  it.each([
    ['answers 500', async () => arranged({ status: 500 })],
    ['breaks the connection', async () => arranged('break')],
    ['is down', async () => HOOK().replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${await freePort()}`)],
    ['has no name that resolves', async () => HOOK().replace(/http:[^"]+/, 'https://hooks.invalid/oncall')],
  ])('that %s holds no answer up, and is tried again', async (_what, arrange) => {
    await use(await arrange());
    const request = await world.ask('boss');
    await tried(request.id, 1);
    expect(reachOf(await world.show(request.id))).toBe('sending');
    world.pass(MINUTE + 1000);
    expect((await warnings()).join()).toContain('wait on channel hook');
    expect(await metrics()).toMatch(/^oncall_notices_waiting\{channel="hook"\} [1-9]/m);
    expect(await metrics()).toMatch(/^oncall_notice_lag_seconds\{channel="hook"\} [1-9]/m);
    expect((await world.approve('carla', request)).result.state).toBe('granted');
    expect(told(hook, request.id)).toHaveLength(0);
    await use(HOOK());
    await tryUntil(
      async () => (await rowsOf(request.id)).every(({ sentAt }) => sentAt !== null),
      'the notices',
    );
    // Nobody is woken for what has its answer.
    expect(told(hook, `approval/${request.id}`)).toHaveLength(0);
    expect(told(hook, `settled/${request.id}`)).toHaveLength(1);
    const isIdle = async () => !/^oncall_notices_waiting\{channel="hook"\} [1-9]/m.test(await metrics());
    await tryUntil(isIdle, 'the end of waiting');
  });

  it('that refuses for good is shown, and not tried again', async () => {
    const other = await startWebhookReceiver({ secret: SECRET, now: world.now });
    atEnd(other.close);
    await use(HOOK().replace(hook.url, other.url).replace('hook:', 'other:'));
    other.meet({ status: 410 });
    const request = await world.ask('boss');
    await becomes(request.id, 'failed');
    expect((await warnings()).join()).toContain('channel other refused a notice');
    world.pass(10 * MINUTE);
    await world.approve('carla', request);
    expect(other.posts.filter(({ body }) => body.includes(`approval/${request.id}`))).toHaveLength(1);
  });

  it('that has left the catalogue is waited for no more', async () => {
    await use(
      HOOK()
        .replace('hook:', 'gone:')
        .replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${await freePort()}`),
    );
    const request = await world.ask('boss');
    await tried(request.id, 1);
    await use(HOOK());
    await tryUntil(
      async () => (await rowsOf(request.id)).every(({ failedAt }) => failedAt !== null),
      'the end',
    );
    expect(reachOf(await world.show(request.id))).toBe('none');
  });

  it('that took a notice from a broker that died gets it once more, under the same id', async () => {
    forgets = true;
    const request = await world.ask('boss');
    await tried(request.id, 2);
    const posts = hook.posts.filter(({ body }) => body.includes(`approval/${request.id}`));
    expect(posts).toHaveLength(2);
    expect(new Set(posts.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  });

  it('whose address is a secret keeps it, whatever goes wrong', async () => {
    await use('chat: { type: slack, webhook: { file: secrets/slack } }');
    const elsewhere = { status: 302, headers: { location: slack.url } };
    slack.meet({ status: 500, body: `no ${SLACK}` }, 'break', elsewhere, { status: 410, body: SLACK });
    const request = await world.ask('boss');
    await tryUntil(
      async () => (await rowsOf(request.id)).some(({ failedAt }) => failedAt !== null),
      'all of it',
    );
    const kept = JSON.stringify([
      await rowsOf(request.id),
      world.installation.log,
      await warnings(),
      await metrics(),
    ]);
    for (const secret of [SLACK, 'uNkNoWn24', SECRET]) expect(kept).not.toContain(secret);
  });

  it('that hangs on a pile of notices holds up neither timers nor what another channel tells', async () => {
    const stuck = await startWebhookReceiver({ secret: SECRET, now: world.now });
    atEnd(stuck.close);
    stuck.meet(...Array.from({ length: 200 }, () => 'silence' as const));
    await use(HOOK().replace(hook.url, stuck.url).replace('hook:', 'aaa:'), HOOK());
    for (let at = 0; at < 16; at++) await world.ask('second', 'ana', { reason: `number ${at}` });
    await waitFor(() => stuck.posts.length >= 3, { what: 'notices that hang' });
    const request = await world.ask('vain');
    await world.until(request.id, ({ waiting }) => waiting[0]?.stage === 2, 'the second stage');
    await tryUntil(async () => told(hook, `approval/${request.id}`).length > 0, 'the other channel');
    // Not one of those that hang has come back yet.
    const hanging = await store.read((tx) => tx.notices({ channel: 'aaa', limit: 50 }));
    expect(hanging.map(({ attempts }) => attempts)).toEqual(hanging.map(() => 0));
    await use(HOOK());
  });
});
