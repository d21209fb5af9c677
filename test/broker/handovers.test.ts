// What is held when a shift is handed over.
import { describe, expect, it } from 'vitest';
import { HANDOVER, HOUR, MINUTE, NIGHT } from './evening.ts';
import { eveningCatalogue } from './evening-catalogue.ts';
import { GRACE, inUse, WIDE } from './in-use.ts';

describe('a shift that is handed over', () => {
  it('gives the next person theirs, and leaves the outgoing one theirs for the grace period alone', async () => {
    const { evening, id } = await inUse({ startsAt: HANDOVER - 30 * MINUTE });
    await evening.pass(28 * MINUTE);
    const last = await evening.issue('ana', id);
    expect(Date.parse(last.result.expiresAt)).toBe(HANDOVER + 3 * MINUTE);
    await evening.pass(2 * MINUTE);
    expect(await evening.names('ben')).toEqual(['db-host:shell ready', 'db-web:shell ready']);
    expect(await evening.names('ana')).toEqual(['db-host:shell active']);
    expect(await evening.grant(id)).toMatchObject({
      graceEndsAt: HANDOVER + GRACE,
      graceCause: 'the shift is over',
    });
    // News of the incident is no reason to end it sooner.
    await evening.page('change-priority', { priority: 'P2' }, HANDOVER);
    await evening.pass(8 * MINUTE);
    const renewed = await evening.issue('ana', id);
    expect(Date.parse(renewed.result.expiresAt)).toBe(HANDOVER + GRACE);
    await evening.pass(2 * MINUTE);
    expect(await evening.grant(id)).toMatchObject({ state: 'ended', endedAt: HANDOVER + GRACE });
  });

  it('is in the last credentials before it: none is good for longer than the grace period after it', async () => {
    const more = `${WIDE}grace: { shift: 1m }\n`;
    const { evening, id, credential } = await inUse({ more, startsAt: HANDOVER - 2 * MINUTE });
    expect(Date.parse(credential.expiresAt)).toBe(HANDOVER + MINUTE);
    await evening.pass(3 * MINUTE);
    expect(await evening.grant(id)).toMatchObject({ state: 'ended', endedAt: HANDOVER + MINUTE });
  });

  it('while no broker runs ends what it should have ended', async () => {
    const { evening, id } = await inUse({ startsAt: HANDOVER - 10 * MINUTE });
    await evening.stop();
    evening.clock.ms = HANDOVER + 15 * MINUTE;
    await evening.restart();
    await evening.settle();
    expect(await evening.grant(id)).toMatchObject({ state: 'ended', endCause: 'the shift is over' });
    expect(await evening.names('ben')).toEqual(['db-host:shell ready', 'db-web:shell ready']);
  });

  it('to the same person goes on, used or not', async () => {
    const catalogue = eveningCatalogue(WIDE).replace('people: [ana, ben]', 'people: [ana]');
    const { evening, id } = await inUse({ catalogue, startsAt: HANDOVER - 30 * MINUTE });
    const before = (await evening.open('ana')).map((grant) => grant.id);
    await evening.pass(30 * MINUTE);
    await evening.pass(15 * MINUTE);
    expect((await evening.open('ana')).map((grant) => grant.id)).toEqual(before);
    expect(await evening.grant(id)).toMatchObject({
      state: 'active',
      graceEndsAt: null,
      shiftEndsAt: HANDOVER + 24 * HOUR,
    });
    expect((await evening.issue('ana', id)).status).toBe(200);
  });

  it('comes round again with what is still open', async () => {
    const { evening } = await inUse();
    await evening.pass(HANDOVER + HOUR - NIGHT);
    expect(await evening.names('ana')).toEqual([]);
    await evening.pass(24 * HOUR);
    expect(await evening.names('ana')).toEqual(['db-host:shell ready', 'db-web:shell ready']);
  });

  it.each([
    ['shorter', '2026-03-28T20:00:00Z', '2026-03-29T07:00:00Z'],
    ['longer', '2026-10-24T20:00:00Z', '2026-10-25T08:00:00Z'],
  ])('keeps its hour on the night that is an hour %s', async (_, evenings, handover) => {
    const over = Date.parse(handover);
    const { evening, id } = await inUse({ startsAt: Date.parse(evenings) });
    expect((await evening.grant(id)).shiftEndsAt).toBe(over);
    await evening.post('ana', `/v1/grants/${id}/release`);
    await evening.pass(over - 20 * MINUTE - evening.clock.ms);
    expect(await evening.names('ana')).toEqual(['db-web:shell ready']);
    const [web] = await evening.open('ana');
    expect(web?.endsAt).toBe(over);
    expect((await evening.issue('ana', web!.id)).status).toBe(200);
    await evening.pass(20 * MINUTE);
    expect((await evening.grant(web!.id)).graceEndsAt).toBe(over + GRACE);
    expect(await evening.names('ben')).toEqual(['db-host:shell ready', 'db-web:shell ready']);
  });
});
