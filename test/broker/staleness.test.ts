// A calendar that falls silent, empty or ill: it takes access from nobody within their recorded shift, and stretches none.
import { describe, expect, it, onTestFinished } from 'vitest';
import type { RequestView } from '../../src/protocol/messages.ts';
import { type FakeCalendar, startCalendar } from '../support/fakes/calendar.ts';
import { Evening, HOUR, MINUTE, NIGHT } from './evening.ts';
import { fromCalendar } from './evening-catalogue.ts';

const GRACE = 10 * MINUTE;

/** Ana is on call from an hour before until `endsAtMs`. */
async function onCallUntil(endsAtMs: number): Promise<{ evening: Evening; calendar: FakeCalendar }> {
  const calendar = await startCalendar();
  onTestFinished(() => calendar.close());
  calendar.setShifts([{ summary: 'ana', startsAtMs: NIGHT - HOUR, endsAtMs }]);
  const evening = await Evening.start({
    catalogue: fromCalendar(),
    env: { CALENDAR: calendar.address },
    people: ['ana', 'dora'],
  });
  await evening.readFeeds();
  await evening.page('fire');
  return { evening, calendar };
}

const effectOf = async (evening: Evening) => {
  const body = { targets: [{ resource: 'db-web' }], incident: '#4711' };
  const { result } = await evening.post<RequestView>('ana', '/v1/requests/dry-run', body);
  return result.targets[0]?.effect;
};

/** Malformed: an answer that no retry makes better. */
const spoil = (calendar: FakeCalendar) => calendar.answerWith({ status: 401, body: 'no' });

describe('who is on call, by a calendar that cannot be read', () => {
  it('grants while it is fresh, is asked for when it is stale, and is unknown after that', async () => {
    const { evening, calendar } = await onCallUntil(NIGHT + 48 * HOUR);
    expect(await effectOf(evening)).toBe('grant');
    spoil(calendar);
    const readAt = (await evening.store.read((tx) => tx.shiftSnapshots()))[0]!.fetchedAt;
    const at = async (ageMs: number) => {
      evening.clock.ms = readAt + ageMs;
      return effectOf(evening);
    };
    expect(await at(10 * MINUTE)).toBe('grant');
    expect(await at(10 * MINUTE + 1)).toBe('ask');
    expect(await at(24 * HOUR)).toBe('ask');
    expect(await at(24 * HOUR + 1)).toBe('deny');
    calendar.recover();
    await evening.readFeeds();
    await evening.readFeeds();
    expect(await effectOf(evening)).toBe('grant');
  });

  it.each([
    ['refuses', spoil],
    ['is empty, and stays so', (calendar: FakeCalendar) => calendar.setShifts([])],
  ])(
    'that %s: what is held is renewed to the end of the recorded shift, and no longer than its grace',
    async (_, spoilt) => {
      const endsAt = NIGHT + 40 * MINUTE;
      const { evening, calendar } = await onCallUntil(endsAt);
      const { result } = await evening.ask('ana', { targets: [{ resource: 'db-host' }], incident: '#4711' });
      const { id } = result.grants[0]!;
      expect(await evening.grant(id)).toMatchObject({ shiftEndsAt: endsAt });
      // Of the two facts that let it be renewed, the incident is not the one that counts here.
      const policy = evening.installation
        .read('policies/starter.cedar')
        .replace(/\(context\.incident\.known && [^|]*\|\|/, '');
      evening.installation.write('policies/starter.cedar', policy);
      await evening.reload();
      spoilt(calendar);
      for (let read = 0; read < 8; read++) await evening.readFeeds();
      evening.clock.ms = endsAt - 6_000;
      const last = await evening.issue('ana', id);
      expect(last.status).toBe(200);
      await evening.pass(6_000);
      expect(await evening.grant(id)).toMatchObject({ state: 'active', graceEndsAt: endsAt + GRACE });
      await evening.pass(8 * MINUTE);
      const renewed = await evening.issue('ana', id);
      expect(Date.parse(renewed.result.expiresAt)).toBe(endsAt + GRACE);
      await evening.pass(2 * MINUTE);
      expect(await evening.grant(id)).toMatchObject({ state: 'ended', endedAt: endsAt + GRACE });
    },
  );
});
