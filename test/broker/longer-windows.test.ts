// Asking for what is held already: a person's yes opens a new window on it, policy's own does not.
import { beforeAll, describe, expect, it } from 'vitest';
import type { GrantView, RequestView } from '../../src/protocol/messages.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { install, withPostgres } from '../support/installation.ts';
import { readLog } from '../support/one-life.ts';

const [MINUTE, HOUR] = [60_000, 3_600_000];

describe('asking again for what is held', () => {
  let ana: TestDevice;
  let carla: TestDevice;
  let dora: TestDevice;
  let nowMs = Date.now();

  beforeAll(async () => {
    const installation = await install({ catalogue: withPostgres(), now: () => nowMs });
    await installation.start({ now: () => nowMs });
    const clock = () => Math.floor(nowMs / 1000);
    [ana, carla, dora] = await Promise.all([
      enrolled(installation, 'ana', clock),
      enrolled(installation, 'carla', clock),
      enrolled(installation, 'dora', clock),
    ]);
    await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  });

  async function ask(role: string, reason: string): Promise<RequestView> {
    const body = { targets: [{ resource: 'db-replica', role }], incident: 'P1-1', reason };
    return (await ana.post<RequestView>('/v1/requests', body)).result;
  }

  async function approved(reason: string, durationSeconds?: number): Promise<GrantView> {
    const { id, digest, state } = await ask('write', reason);
    expect(state).toBe('pending');
    const answer = { digest, ...(durationSeconds && { durationSeconds }) };
    return (await carla.post<RequestView>(`/v1/requests/${id}/approve`, answer)).result.grants[0]!;
  }

  const lengthOf = ({ startsAt, endsAt }: GrantView) => Date.parse(endsAt) - Date.parse(startsAt);

  it('opens a new window where an approver says yes, whatever of the old one was used up', async () => {
    const first = await approved('first');
    const extended = (await ana.post<GrantView>(`/v1/grants/${first.id}/extend`)).result;
    expect(extended).toMatchObject({ extensionsLeft: 3, endsAt: first.hardEndsAt });
    nowMs += 100 * MINUTE;
    // It would end before the one that runs.
    expect(await approved('again')).toMatchObject({
      id: first.id,
      extensionsLeft: 3,
      endsAt: first.hardEndsAt,
    });
    nowMs += 2 * HOUR;
    const last = await approved('the old one ends soon');
    expect(last).toMatchObject({ id: first.id, extensionsLeft: 4 });
    expect(lengthOf(last)).toBe(2 * HOUR);
    expect(Date.parse(last.hardEndsAt) - Date.parse(last.startsAt)).toBe(4 * HOUR);
    const told = (await readLog(dora)).map(
      ({ entry }) => JSON.parse(entry) as { event: string; data: object },
    );
    expect(told.filter(({ event }) => event === 'grant.extended').at(-1)?.data).toEqual({
      from: first.hardEndsAt,
      to: last.endsAt,
    });
  });

  it('takes nothing away where the yes is for less', async () => {
    const before = await approved('for long');
    expect(await approved('for a moment', 60)).toMatchObject({ id: before.id, endsAt: before.endsAt });
  });

  it('changes no window where policy grants by itself: extending is what its rules are for', async () => {
    const first = (await ask('read', 'first')).grants[0]!;
    nowMs += 30 * MINUTE;
    const again = (await ask('read', 'again')).grants[0]!;
    expect(again).toMatchObject({ id: first.id, endsAt: first.endsAt, hardEndsAt: first.hardEndsAt });
  });
});
