// Break-glass while the broker is there: opened at once, narrow and short, told on two channels, reviewed, and never by halves.
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type {
  BreakGlassOptions,
  Explanation,
  GrantView,
  Me,
  RequestView,
  ReviewList,
} from '../../src/protocol/messages.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { atEnd } from '../support/at-end.ts';
import type { CallOptions } from '../support/device.ts';
import { type HttpReceiver, startSlackReceiver, startWebhookReceiver } from '../support/receivers.ts';
import { waitFor } from '../support/temp.ts';
import {
  CHAINS,
  type ChainWorld,
  catalogueWith,
  MINUTE,
  type Person,
  policyWith,
  startChainWorld,
} from './chain-world.ts';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const WHY = 'orders cannot be paid, and ben does not answer';

let world: ChainWorld;
let store: Store;
let hook: HttpReceiver;
let slack: HttpReceiver;

function resource(name: string, more: string): string {
  return `  ${name}:
    type: postgres
    service: orders
    environment: production
    sensitivity: medium
    session: { default: 2h, max: 4h, maxExtensions: 4 }
    credential: 10m
    connection: { host: 127.0.0.1, port: 1, database: orders, sslMode: disable }
    broker: { user: oncall_broker, password: { file: secrets/db } }
    quarantineRole: oncall_quarantine
    ${more}
    roles: { read: { template: t_read }, write: { template: t_write }, admin: { template: t_admin } }
`;
}

function catalogue({ notify = '[carla, group:security]' } = {}): string {
  const text = catalogueWith(
    CHAINS,
    `${resource('ledger', 'breakGlass: { roles: [write, read], window: 30m, max: 1h }')}
${resource('vault', 'breakGlass: { twoPerson: true }')}
${resource('plain', '')}
bundles:
  night: { targets: ["ledger:admin", "plain:read"] }
  nothing: { targets: ["plain:read"] }
breakGlass: { notify: ${notify} }
notify:
  hook: { type: webhook, url: "${hook.url}", secret: { file: secrets/hook }, notices: [break-glass] }
  chat: { type: slack, webhook: { file: secrets/slack }, notices: [break-glass] }
`,
  );
  return text.replace('schedules: [primary] }', 'schedules: [primary], bundle: night }');
}

const POLICY = `${policyWith()}
@id("glass") @because("you are on call, or in data")
permit (principal, action == Action::"break-glass", resource) when {
  principal.groups.contains("data") || (context.shift.known && context.shift.value.coversResource)
};
@id("write-asks") @because("ben, then carla") @chain("steps")
permit (principal, action == Action::"ask", resource) when { resource.name == "write" };
`;

beforeAll(async () => {
  hook = await startWebhookReceiver({ secret: SECRET, now: () => world.now() });
  slack = await startSlackReceiver();
  atEnd(hook.close);
  atEnd(slack.close);
  world = await startChainWorld({ secrets: { hook: SECRET, slack: slack.url } });
  store = await openSqliteStore({ file: join(world.installation.directory, 'oncall.db'), now: world.now });
  atEnd(() => store.close());
  await world.post('ben', '/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
});

beforeEach(async () => {
  world.installation.write('catalogue.yaml', catalogue());
  world.installation.write('policies/starter.cedar', POLICY);
  await world.broker().reload();
  await world.post('dora', '/v1/revoke', { user: 'ana', reason: 'next case' });
});

const target = (name: string, role?: string) => ({ resource: name, ...(role !== undefined && { role }) });
const glass = (by: Person, targets: object[], more: object = {}, options?: CallOptions) =>
  world.people[by].post<RequestView>(
    '/v1/break-glass',
    { targets, reason: WHY, ...more },
    { createdSeconds: Math.floor(world.now() / 1000), ...options },
  );
const told = (receiver: HttpReceiver, id: string) =>
  receiver.accepted.filter(({ body }) => body.includes(id));
/** The clock stands still: a notice whose channel was busy is brought forward. */
async function delivered(holds: () => boolean, what: string): Promise<void> {
  const tried = async () => {
    if (holds()) return true;
    const dueAt = await store.read((tx) => tx.nextJobAt(world.now(), ['notice']));
    if (dueAt !== undefined && dueAt > world.now()) world.pass(dueAt - world.now());
    return false;
  };
  await waitFor(tried, { what });
}
const reviewsOf = async (id: string) =>
  (await world.get<ReviewList>('ana', '/v1/reviews')).result.reviews.filter(
    ({ requestId }) => requestId === id,
  );
const lastEntry = (event: string) =>
  store.read(async (tx) => {
    const [row] = await tx.auditSearch({ event, limit: 1 });
    return JSON.parse(row?.entry ?? '{}') as {
      subject: object;
      data: Record<string, unknown>;
      embedded?: object;
    };
  });

describe('whoever policy lets break the glass', () => {
  it('is in at once, in the narrowest role, for its short window and no longer', async () => {
    const { result, audit } = await glass('ana', [target('ledger')], { incident: 'P1-1' });
    expect(audit).toBeDefined();
    const [grant] = result.grants;
    expect(result).toMatchObject({
      state: 'granted',
      targets: [{ effect: 'grant', rules: [{ id: 'glass' }] }],
    });
    expect(grant).toMatchObject({
      target: target('ledger', 'read'),
      via: 'break-glass',
      state: 'active',
      extensionsLeft: 0,
    });
    expect(Date.parse(grant!.endsAt) - Date.parse(grant!.startsAt)).toBe(30 * MINUTE);
    expect(grant!.hardEndsAt).toBe(grant!.endsAt);
    const longer = await world.post('ana', `/v1/grants/${grant!.id}/extend`);
    expect(longer.error).toMatchObject({
      code: 'denied',
      hint: expect.stringContaining('oncall break-glass'),
    });
    // On call, with an open incident: any other window would become longer by itself.
    world.pass(30 * MINUTE);
    const ended = async () => {
      const grants = (await world.get<{ grants: GrantView[] }>('ana', '/v1/grants')).result.grants;
      return grants.find(({ id, state }) => id === grant!.id && state === 'ended');
    };
    expect(await waitFor(ended, { what: 'the end' })).toMatchObject({ endCause: 'window ended' });
  });

  it('is recorded with who was not asked, and what would have been decided otherwise', async () => {
    const { result } = await glass('ana', [target('ledger', 'write')]);
    expect(result.state).toBe('granted');
    const entry = await lastEntry('request.granted');
    expect(entry.embedded).toBeDefined();
    expect(entry.data).toMatchObject({
      reason: WHY,
      decision: {
        breakGlass: {
          otherwise: [
            {
              target: target('ledger', 'write'),
              effect: 'ask',
              rules: [{ id: 'write-asks' }],
              skipped: ['ben', 'carla'],
            },
          ],
        },
      },
    });
    expect((await lastEntry('break-glass.opened')).data).toMatchObject({ told: ['carla', 'dora', 'eli'] });
  });

  it('is told of on both channels, reviewed by somebody else, and leaves the resource tainted', async () => {
    const before = slack.accepted.length;
    const { result } = await glass('ana', [target('ledger')]);
    const inChat = () =>
      slack.accepted.slice(before).some(({ body }) => body.includes('ana opened ledger:read'));
    await delivered(() => told(hook, result.id).length > 0 && inChat(), 'both channels');
    expect(JSON.parse(told(hook, result.id)[0]!.body)).toMatchObject({
      kind: 'break-glass',
      to: [{ user: 'carla' }, { user: 'dora' }, { user: 'eli' }],
      who: 'ana',
      what: 'ledger:read',
      why: WHY,
      rule: 'glass',
      command: expect.stringContaining('oncall revoke --user ana'),
    });
    expect([...hook.faults, ...slack.faults]).toEqual([]);
    expect(await reviewsOf(result.id)).toMatchObject([
      { kind: 'break-glass', user: 'ana', owners: ['carla'] },
    ]);
    const epoch = await store.read((tx) => tx.breakGlassEpoch('ledger'));
    expect(epoch).toMatchObject({ epoch: 1, rotatedAt: null, taintedAt: expect.any(Number) });
    const first = epoch!.taintedAt;
    world.pass(MINUTE);
    await glass('ana', [target('ledger')]);
    expect(await store.read((tx) => tx.breakGlassEpoch('ledger'))).toMatchObject({ taintedAt: first });
  });

  it('needs nothing from outside: who is on call by the catalogue still is, by a vendor nobody is', async () => {
    const feed = catalogue().replace(
      /primary: \{ timeZone: UTC, rotations: .*\n/,
      'primary: { from: { source: pager, id: P1 } }\n',
    );
    const onCallNow = { outsideUser: 'PANA', level: 1, startsAtMs: world.now() - MINUTE, endsAtMs: null };
    const nowMs = world.now();
    await store.write((tx) =>
      tx.putShiftSnapshot({
        source: 'pager',
        feed: 'P1',
        takenAt: nowMs,
        fetchedAt: nowMs,
        shifts: [onCallNow],
      }),
    );
    world.installation.write(
      'catalogue.yaml',
      `${feed.replace('name: Ana Ruiz,', 'name: Ana Ruiz, ids: { pager: PANA },')}\nsources:\n  pager: { type: pagerduty, token: { env: NONE } }\n`,
    );
    await world.broker().reload();
    expect((await world.get<Me>('ana', '/v1/me')).result.shifts).toMatchObject([{ schedule: 'primary' }]);
    expect((await glass('ana', [target('ledger')])).result).toMatchObject({ state: 'denied', grants: [] });
    expect((await glass('eli', [target('ledger')])).result).toMatchObject({ state: 'granted' });
    await world.post('dora', '/v1/revoke', { user: 'eli', reason: 'next case' });
  });

  it('is asked twice and in once, when the same call comes again', async () => {
    const key = { idempotencyKey: 'break-glass-0001' };
    const [first, second] = [
      await glass('ana', [target('ledger')], {}, key),
      await glass('ana', [target('ledger')], {}, key),
    ];
    expect(second.result.id).toBe(first.result.id);
    expect(await reviewsOf(first.result.id)).toHaveLength(1);
    const rows = await store.read((tx) => tx.notices({ subject: first.result.id, limit: 9 }));
    expect(rows.map(({ channel }) => channel).sort()).toEqual(['chat', 'hook']);
  });

  it('gets a new window by the same act again, not by renewing', async () => {
    const first = (await glass('ana', [target('ledger')])).result;
    world.pass(20 * MINUTE);
    const again = (await glass('ana', [target('ledger')])).result;
    expect(again.grants[0]!.id).toBe(first.grants[0]!.id);
    expect(Date.parse(again.grants[0]!.endsAt) - world.now()).toBe(30 * MINUTE);
    expect(await reviewsOf(again.id)).toHaveLength(1);
  });

  it('keeps what was held the usual way by break-glass alone, and for its window', async () => {
    const asked = await world.ask('write', 'ana', { targets: [target('ledger', 'write')] });
    const held = (await world.approve('ben', asked)).result.grants[0]!;
    expect(held.via).toBe('approval');
    const { result } = await glass('ana', [target('ledger', 'write')]);
    expect(result.grants).toMatchObject([{ id: held.id, via: 'break-glass', extensionsLeft: 0 }]);
    expect(Date.parse(result.grants[0]!.endsAt) - world.now()).toBe(30 * MINUTE);
  });

  it('opens of the bundle of an incident what can be opened, and says what not', async () => {
    const { result } = await glass('ana', [], { incident: 'P1-1' });
    expect(result).toMatchObject({
      state: 'granted',
      bundle: 'night',
      grants: [{ target: target('ledger', 'read') }],
    });
    expect(result.outcome).toContain('not opened: plain');
  });
});

describe('what is refused', () => {
  it.each<[string, object[], object, string, string]>([
    [
      'a resource without break-glass',
      [target('plain')],
      {},
      'denied',
      'it is possible on ledger:read, vault:read',
    ],
    ['a role that is not listed', [target('ledger', 'admin')], {}, 'denied', 'read, write'],
    ['a bundle of which nothing can be opened', [target('nothing')], {}, 'denied', 'ledger:read'],
    ['one of two', [target('ledger'), target('plain')], {}, 'denied', 'ledger:read'],
    ['more than the cap', [target('ledger')], { durationSeconds: 3601 }, 'invalid_request', '1h'],
    [
      'a reason of nine characters',
      [target('ledger')],
      { reason: ' 123456789  ' },
      'invalid_request',
      'broken',
    ],
    ['no target and no incident', [], {}, 'usage', ''],
    ['an unknown resource', [target('none')], {}, 'not_found', ''],
  ])('%s', async (_, targets, more, code, hint) => {
    const { error } = await glass('ana', targets, more);
    expect(error).toMatchObject({ code, hint: expect.stringContaining(hint) });
  });

  it('is in the log when the catalogue refused it', async () => {
    await glass('gus', [target('plain')]);
    expect(await lastEntry('break-glass.refused')).toMatchObject({
      subject: { user: 'gus' },
      data: { targets: [target('plain')], reason: WHY },
      embedded: expect.anything(),
    });
  });

  it('opens nothing for whom policy does not name, and tells nobody', async () => {
    const { result } = await glass('gus', [target('ledger')]);
    expect(result).toMatchObject({ state: 'denied', grants: [] });
    expect(await world.events(result.id)).toEqual(['request.denied']);
    expect(await store.read((tx) => tx.notices({ subject: result.id, limit: 9 }))).toEqual([]);
    expect((await world.get<BreakGlassOptions>('gus', '/v1/break-glass')).result.options).toEqual([]);
  });

  it('renews no credential once policy has stopped to permit it', async () => {
    const { result } = await glass('ana', [target('ledger')]);
    world.installation.write('policies/starter.cedar', POLICY.replace('"break-glass"', '"renew"'));
    await world.broker().reload();
    const material = {
      kind: 'postgres',
      verifier: `SCRAM-SHA-256$4096:${'A'.repeat(22)}==$${'A'.repeat(43)}=:${'A'.repeat(43)}=`,
    };
    const { error } = await world.post('ana', `/v1/grants/${result.grants[0]!.id}/credentials`, { material });
    expect(error).toMatchObject({ code: 'denied' });
  });
});

describe('a resource that wants two people', () => {
  const isSettled = ({ state }: RequestView) => state !== 'pending';

  it('is opened by the yes of somebody who hears of it anyway, never by the one who asks', async () => {
    const { result } = await glass('ana', [target('vault')]);
    expect(result).toMatchObject({ state: 'pending', grants: [], waiting: [{ chain: 'break-glass' }] });
    expect(result.waiting[0]!.asked.map(({ user }) => user)).toEqual(['carla', 'dora', 'eli']);
    expect((await world.approve('ana', result)).error).toMatchObject({ code: 'forbidden' });
    expect((await world.approve('ben', result)).error).toMatchObject({ code: 'not_found' });
    expect(await reviewsOf(result.id)).toEqual([]);
    await world.approve('carla', result);
    const opened = await world.until(result.id, isSettled, 'the opening');
    expect(opened).toMatchObject({ state: 'granted', grants: [{ via: 'break-glass' }] });
    expect(opened.outcome).toContain('carla');
    expect(await reviewsOf(result.id)).toHaveLength(1);
    await delivered(() => told(hook, result.id).length > 0, 'the notice');
    expect(await world.events(result.id)).toContain('break-glass.opened');
  });

  it('stays closed by one no, and where policy has changed before the yes', async () => {
    const first = (await glass('ana', [target('vault')])).result;
    expect((await world.deny('dora', first)).result).toMatchObject({ state: 'denied', grants: [] });
    const second = (await glass('ana', [target('vault')])).result;
    world.installation.write('policies/starter.cedar', POLICY.replace('"break-glass"', '"renew"'));
    await world.broker().reload();
    expect((await world.approve('carla', second)).result).toMatchObject({ state: 'denied', grants: [] });
    expect(await reviewsOf(second.id)).toEqual([]);
  });

  it('asks once for what is asked twice', async () => {
    const first = (await glass('ana', [target('vault')])).result;
    expect((await glass('ana', [target('vault')])).result.id).toBe(first.id);
  });

  it('is refused at once where nobody but the one who asks could say yes', async () => {
    world.installation.write('catalogue.yaml', catalogue({ notify: '[ana]' }));
    await world.broker().reload();
    expect((await glass('ana', [target('vault', 'read')], { durationSeconds: 600 })).error).toMatchObject({
      code: 'denied',
    });
  });
});

describe('the next step', () => {
  it('stands with what was denied, and in what explains it', async () => {
    const denied = await world.post<RequestView>('ana', '/v1/requests', {
      targets: [target('ledger', 'read')],
    });
    expect(denied.result).toMatchObject({ state: 'denied', breakGlass: ['ledger'] });
    const explain = async (by: Person, asked: object) =>
      (await world.post<Explanation>(by, '/v1/explain', { target: asked })).result.breakGlass;
    expect(await explain('ana', target('ledger', 'write'))).toEqual(['ledger:write']);
    expect(await explain('ana', target('ledger', 'admin'))).toEqual(['ledger']);
    expect(await explain('ana', target('plain'))).toEqual([]);
    expect(await explain('gus', target('ledger'))).toEqual([]);
    const options = (await world.get<BreakGlassOptions>('ana', '/v1/break-glass')).result.options;
    expect(options).toMatchObject([
      {
        resource: 'ledger',
        roles: ['read', 'write'],
        windowSeconds: 1800,
        maxWindowSeconds: 3600,
        twoPerson: false,
      },
      { resource: 'vault', roles: ['read'], windowSeconds: 3600, twoPerson: true },
    ]);
  });
});
