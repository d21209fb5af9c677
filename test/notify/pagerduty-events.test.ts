import { describe, expect, test } from 'vitest';
import { NOTICE_KINDS } from '../../src/catalogue/types.ts';
import { atEnd } from '../support/at-end.ts';
import { startPagerDutyReceiver } from '../support/receivers.ts';
import { failureOf, NEVER, openChannel, ROUTING_KEY, sampleNotice, startHttp } from './fixture.ts';

describe('an event to PagerDuty', () => {
  test('says what the notice says, and the command in its summary', async () => {
    const { receiver, channel } = await startHttp('pagerduty-events');
    await channel.send(sampleNotice(), NEVER);
    expect(JSON.parse(receiver.accepted[0]!.body)).toEqual({
      routing_key: ROUTING_KEY,
      event_action: 'trigger',
      dedup_key: 'req_0123456789abcdefghj:asked:1',
      client: 'oncall',
      payload: {
        summary: 'ada asks for db-replica:write: oncall approve req_0123456789abcdefghj',
        source: 'oncall',
        severity: 'critical',
        timestamp: '2026-01-05T02:14:00.000Z',
        class: 'approval',
        custom_details: {
          who: 'ada (Ada Example)',
          what: 'db-replica:write',
          why: 'P1-123: replication lag',
          howLong: '2h',
          rule: 'write-in-incident, stage 1 of 2',
          to: 'Bo Example, Cy Example',
          command: 'oncall approve req_0123456789abcdefghj',
        },
      },
    });
  });

  test('of every kind is taken, and each repeat lands in the alert it belongs to', async () => {
    const receiver = await startPagerDutyReceiver(ROUTING_KEY);
    atEnd(receiver.close);
    const settings = {
      kind: 'pagerduty-events',
      url: receiver.url,
      routingKey: { env: ROUTING_KEY },
    } as const;
    const channel = await openChannel(settings);
    for (const kind of [...NOTICE_KINDS, ...NOTICE_KINDS])
      await channel.send(sampleNotice({ kind, id: kind }), NEVER);
    expect(receiver.faults).toEqual([]);
    expect([...receiver.alerts.keys()].sort()).toEqual([...NOTICE_KINDS].sort());
  });

  test('of one matter lands in one alert, which is resolved once it is over', async () => {
    const receiver = await startPagerDutyReceiver(ROUTING_KEY);
    atEnd(receiver.close);
    const settings = {
      kind: 'pagerduty-events',
      url: receiver.url,
      routingKey: { env: ROUTING_KEY },
    } as const;
    const channel = await openChannel(settings);
    const matter = (isOver: boolean) => ({ id: 'alarm/orphan/db-replica', isOver });
    await channel.send(sampleNotice({ kind: 'alarm', id: 'first', matter: matter(false) }), NEVER);
    await channel.send(sampleNotice({ kind: 'alarm', id: 'again', matter: matter(false) }), NEVER);
    expect(receiver.alerts.size).toBe(1);
    await channel.send(sampleNotice({ kind: 'alarm', id: 'over', matter: matter(true) }), NEVER);
    expect(receiver.alerts.size).toBe(0);
    expect(receiver.faults).toEqual([]);
  });

  test('under a key that PagerDuty does not know fails for good, and tells neither key', async () => {
    const receiver = await startPagerDutyReceiver(ROUTING_KEY);
    atEnd(receiver.close);
    const wrong = 'f'.repeat(32);
    const settings = { kind: 'pagerduty-events', url: receiver.url, routingKey: { env: wrong } } as const;
    const error = await failureOf((await openChannel(settings)).send(sampleNotice(), NEVER), wrong);
    expect(error.details).toEqual({ permanent: true, status: 400 });
  });

  test('is enqueued with 202 alone', async () => {
    const { receiver, channel } = await startHttp('pagerduty-events');
    receiver.meet({ status: 200, body: 'welcome' });
    expect((await failureOf(channel.send(sampleNotice(), NEVER))).details).toEqual({
      permanent: false,
      status: 200,
    });
  });
});
