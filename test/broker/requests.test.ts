import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningBroker } from '../../src/broker/broker.ts';
import type { Explanation, GrantList, RequestList, RequestView } from '../../src/protocol/messages.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install, withPostgres } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';

let installation: Installation;
let broker: RunningBroker;
let ana: TestDevice;
let ben: TestDevice;
let carla: TestDevice;
let dora: TestDevice;
let incidents = 0;

beforeAll(async () => {
  installation = await install({ catalogue: withPostgres() });
  broker = await installation.start();
  [ana, ben, carla, dora] = [
    await enrolled(installation, 'ana'),
    await enrolled(installation, 'ben'),
    await enrolled(installation, 'carla'),
    await enrolled(installation, 'dora'),
  ];
});

async function incident(by: TestDevice = dora, service = 'orders'): Promise<string> {
  const id = `P1-${++incidents}`;
  const { status } = await by.post('/v1/incidents', { id, service, priority: 'P1' });
  expect(status).toBe(200);
  return id;
}

/** Asks, and gives up what was granted before, so that cases do not lean on each other. */
async function ask(by: TestDevice, body: Record<string, unknown>): Promise<RequestView> {
  const answer = await by.post<RequestView>('/v1/requests', body);
  expect(answer.error).toBeUndefined();
  return answer.result;
}

const DB = { targets: [{ resource: 'db-replica' }] };
const WRITE = { targets: [{ resource: 'db-replica', role: 'write' }] };

describe('asking', () => {
  it('is granted at once to whoever is on call, for an incident that somebody else declared', async () => {
    const request = await ask(ana, { ...DB, incident: await incident() });
    expect(request.state).toBe('granted');
    expect(request.targets[0]?.rules[0]?.id).toBe('oncall-with-incident');
    const [grant] = request.grants;
    expect(grant?.target).toEqual({ resource: 'db-replica', role: 'read' });
    expect(Date.parse(grant?.endsAt ?? '') - Date.parse(grant?.startsAt ?? '')).toBe(2 * 3600_000);
    expect(Date.parse(grant?.hardEndsAt ?? '') - Date.parse(grant?.startsAt ?? '')).toBe(4 * 3600_000);
  });

  it('again reuses what is held, says so, and adds the new incident', async () => {
    const [one, two] = [await incident(), await incident()];
    const first = await ask(ana, { ...DB, incident: one });
    const second = await ask(ana, { ...DB, incident: two });
    expect(second.grants[0]?.id).toBe(first.grants[0]?.id);
    expect(second.grants[0]?.held).toBe(true);
    expect(second.grants[0]?.incidents).toEqual(expect.arrayContaining([one, two]));
  });

  it('for an incident that one declared oneself is never granted at once', async () => {
    const request = await ask(ana, { ...DB, incident: await incident(ana) });
    expect(request.state).toBe('pending');
  });

  it('without an incident is refused, with nothing granted', async () => {
    const request = await ask(ana, DB);
    expect(request.state).toBe('denied');
    expect(request.grants).toEqual([]);
  });

  it('is refused when one is not on call', async () => {
    expect((await ask(ben, { ...DB, incident: await incident() })).state).toBe('denied');
  });

  it('is refused when the incident is about another service', async () => {
    expect((await ask(ana, { ...DB, incident: await incident(dora, 'billing') })).state).toBe('denied');
  });

  it('refuses all when one of several targets is refused', async () => {
    const targets = [{ resource: 'db-replica' }, { resource: 'db-replica', role: 'write' }];
    expect((await ask(ben, { targets, incident: await incident() })).grants).toEqual([]);
  });

  it('dry records nothing', async () => {
    const id = await incident();
    const size = async () =>
      (await dora.get<{ size: number }>('/v1/audit/entries?from=0&limit=1')).result.size;
    const before = await size();
    const { result } = await ana.post<RequestView>('/v1/requests/dry-run', { ...WRITE, incident: id });
    expect(result.state).toBe('pending');
    expect(result.id).toBe('');
    expect(await size()).toBe(before);
  });

  it.each([
    ['a resource that does not exist', { targets: [{ resource: 'nothing' }] }, 'not_found'],
    ['a role that does not exist', { targets: [{ resource: 'db-replica', role: 'owner' }] }, 'not_found'],
    ['an incident that does not exist', { ...DB, incident: 'P9-9' }, 'not_found'],
    ['a window over the cap', { ...DB, durationSeconds: 5 * 3600 }, 'invalid_request'],
    ['a window of no time', { ...DB, durationSeconds: 0 }, 'invalid_request'],
    ['a negative window', { ...DB, durationSeconds: -1 }, 'invalid_request'],
    ['a window of 999 days', { ...DB, durationSeconds: 999 * 86_400 }, 'invalid_request'],
    ['no target', { targets: [] }, 'usage'],
    ['a path for a name', { targets: [{ resource: '../db' }] }, 'invalid_request'],
    ['a name with a quote', { targets: [{ resource: "db'; drop" }] }, 'invalid_request'],
  ])('for %s is an error', async (_name, body, code) => {
    expect((await ana.post('/v1/requests', body)).error?.code).toBe(code);
  });

  it('for an incident that is resolved is an error', async () => {
    const id = await incident();
    await dora.post(`/v1/incidents/${id}/resolve`);
    expect((await ana.post('/v1/requests', { ...DB, incident: id })).error?.code).toBe('ended');
  });

  it('many times at once for one thing makes one grant', async () => {
    const id = await incident();
    await release(ana);
    const answers = await Promise.all(Array.from({ length: 6 }, () => ask(ana, { ...DB, incident: id })));
    expect(new Set(answers.map(({ grants }) => grants[0]?.id)).size).toBe(1);
  });
});

async function release(by: TestDevice): Promise<void> {
  const { result } = await by.get<GrantList>('/v1/grants');
  for (const { id, state } of result.grants)
    if (state === 'active') await by.post(`/v1/grants/${id}/release`);
}

describe('a request that people must answer', () => {
  const pending = async () => {
    await release(ana);
    const request = await ask(ana, { ...WRITE, incident: await incident(), reason: 'fix the index' });
    expect(request.state).toBe('pending');
    return request;
  };

  it('names who could say yes, and never the requester', async () => {
    const request = await pending();
    expect(request.targets[0]?.approvers).toEqual(['carla', 'ben']);
  });

  it('is granted by a yes, and its window starts then', async () => {
    const request = await pending();
    const { result } = await carla.post<RequestView>(`/v1/requests/${request.id}/approve`, {
      digest: request.digest,
    });
    expect(result.state).toBe('granted');
    expect(Date.parse(result.grants[0]?.startsAt ?? '')).toBeGreaterThan(Date.parse(request.createdAt));
    expect(result.grants[0]?.via).toBe('approval');
  });

  it('may be shortened by its approver, not lengthened', async () => {
    const request = await pending();
    const longer = { digest: request.digest, durationSeconds: request.durationSeconds + 1 };
    expect((await carla.post(`/v1/requests/${request.id}/approve`, longer)).error?.code).toBe(
      'invalid_request',
    );
    const shorter = { digest: request.digest, durationSeconds: 600 };
    const { result } = await carla.post<RequestView>(`/v1/requests/${request.id}/approve`, shorter);
    const [grant] = result.grants;
    expect(Date.parse(grant?.endsAt ?? '') - Date.parse(grant?.startsAt ?? '')).toBe(600_000);
  });

  it('is refused by a no, with the reason', async () => {
    const request = await pending();
    const no = { digest: request.digest, reason: 'not during the freeze' };
    const { result } = await ben.post<RequestView>(`/v1/requests/${request.id}/deny`, no);
    expect(result.state).toBe('denied');
    expect(result.answers[0]?.reason).toBe('not during the freeze');
    const late = await carla.post(`/v1/requests/${request.id}/approve`, { digest: request.digest });
    expect(late.error?.code).toBe('ended');
  });

  it('cannot be answered by its requester, a stranger, or for something else', async () => {
    const request = await pending();
    const yes = { digest: request.digest };
    expect((await ana.post(`/v1/requests/${request.id}/approve`, yes)).error?.code).toBe('forbidden');
    expect((await dora.post(`/v1/requests/${request.id}/approve`, yes)).error?.code).toBe('not_found');
    const other = { digest: 'f'.repeat(64) };
    expect((await carla.post(`/v1/requests/${request.id}/approve`, other)).error?.code).toBe('conflict');
    expect((await ana.get<RequestView>(`/v1/requests/${request.id}`)).result.state).toBe('pending');
  });

  it('is listed for those who can answer it and nobody else', async () => {
    const request = await pending();
    const listed = async (by: TestDevice) =>
      (await by.get<RequestList>('/v1/approvals')).result.requests.some(({ id }) => id === request.id);
    expect(await listed(carla)).toBe(true);
    expect(await listed(ana)).toBe(false);
    expect(await listed(dora)).toBe(false);
    expect((await dora.get(`/v1/requests/${request.id}`)).error?.code).toBe('not_found');
  });

  it('opens nothing when the incident was resolved before the yes', async () => {
    const request = await pending();
    await dora.post(`/v1/incidents/${request.incident}/resolve`);
    const late = await carla.post(`/v1/requests/${request.id}/approve`, { digest: request.digest });
    expect(late.error?.code).toBe('ended');
    const { result } = await ana.get<RequestView>(`/v1/requests/${request.id}`);
    expect(result).toMatchObject({ state: 'denied', grants: [] });
  });

  it('tells a waiting requester as soon as it is answered', async () => {
    const request = await pending();
    const waiting = ana.get<RequestView>(`/v1/requests/${request.id}?waitSeconds=20`);
    await carla.post(`/v1/requests/${request.id}/approve`, { digest: request.digest });
    expect((await waiting).result.state).toBe('granted');
  });

  it('is not put to the approvers twice when it is asked again while it waits', async () => {
    const request = await pending();
    const again = await ask(ana, { ...WRITE, incident: request.incident, reason: 'fix the index' });
    expect(again.id).toBe(request.id);
    const other = await ask(ana, { ...WRITE, incident: request.incident, reason: 'something else' });
    expect(other.id).not.toBe(request.id);
  });

  it('that got its yes when nobody was waiting any more is found by asking again, once', async () => {
    await release(ana);
    const body = { ...WRITE, incident: await incident(), reason: 'the index is gone' };
    const { id, digest } = await ask(ana, body);
    const granted = await carla.post<RequestView>(`/v1/requests/${id}/approve`, { digest });
    expect(await ask(ana, body)).toMatchObject({ id, state: 'granted', grants: granted.result.grants });
    // Other words are another request, and so are the same ones when what they opened has ended.
    expect(await ask(ana, { ...body, reason: 'another' })).toMatchObject({ state: 'pending' });
    await release(ana);
    expect(await ask(ana, body)).toMatchObject({ state: 'pending' });
  });

  it('is the same one under the same key, a no as well; other words under it are refused', async () => {
    const [one, other] = [await incident(), await incident()];
    const under = (incidentId: string) =>
      ana.post<RequestView>(
        '/v1/requests',
        { ...WRITE, incident: incidentId },
        { idempotencyKey: 'pipeline-4711' },
      );
    const { id, digest } = (await under(one)).result;
    await carla.post(`/v1/requests/${id}/deny`, { digest, reason: 'not now' });
    expect((await under(one)).result).toMatchObject({ id, state: 'denied' });
    expect((await under(other)).error).toMatchObject({ code: 'conflict' });
  });

  it('can be cancelled by its requester', async () => {
    const request = await pending();
    expect((await carla.post(`/v1/requests/${request.id}/cancel`)).error?.code).toBe('not_found');
    expect((await ana.post<RequestView>(`/v1/requests/${request.id}/cancel`)).result.state).toBe('cancelled');
  });
});

describe('explaining', () => {
  it('says what decided, from which facts, and what would change it', async () => {
    const body = { target: { resource: 'db-replica' } };
    const { result } = await ben.post<Explanation>('/v1/explain', body);
    expect(result.decision.effect).toBe('deny');
    expect(result.facts.find(({ name }) => name === 'shift')?.known).toBe(true);
    const { result: mine } = await ana.post<Explanation>('/v1/explain', body);
    expect(mine.changes.map(({ change }) => change)).toContain('incident.open');
    expect(mine.policySha256).toMatch(/^[0-9a-f]{64}$/);
  });
});

describe('revoking', () => {
  it('shows whom it would hit, then ends it; only for those whom policy lets', async () => {
    const request = await ask(ana, { ...DB, incident: await incident() });
    const body = { user: 'ana', reason: 'laptop lost' };
    expect((await ana.post('/v1/revoke', body)).error?.code).toBe('forbidden');
    const shown = await dora.post<GrantList>('/v1/revoke/dry-run', body);
    expect(shown.result.grants.map(({ id }) => id)).toContain(request.grants[0]?.id);
    const { result } = await dora.post<GrantList>('/v1/revoke', body);
    expect(result.grants.every(({ state }) => state === 'ended')).toBe(true);
    const material = { kind: 'postgres', verifier: 'x' };
    const late = await ana.post(`/v1/grants/${request.grants[0]?.id}/credentials`, { material });
    expect(late.error?.code).toBe('ended');
  });

  it('without saying what is an error', async () => {
    expect((await dora.post('/v1/revoke', { reason: 'everything' })).error?.code).toBe('usage');
  });
});

describe('another person', () => {
  it('cannot use, extend or release what is not theirs, nor learn that it exists', async () => {
    const request = await ask(ana, { ...DB, incident: await incident() });
    const grant = request.grants[0]?.id;
    const material = { kind: 'postgres', verifier: 'x' };
    const codes = [
      await ben.post(`/v1/grants/${grant}/credentials`, { material }),
      await ben.post(`/v1/grants/${grant}/extend`),
      await ben.post(`/v1/grants/${grant}/release`),
    ].map(({ error }) => error?.code);
    expect(codes).toEqual(['not_found', 'not_found', 'not_found']);
    expect((await ben.get('/v1/grants?all=true')).error?.code).toBe('forbidden');
    expect((await ben.get('/v1/audit/entries')).error?.code).toBe('forbidden');
  });
});

describe('extending', () => {
  it('moves the window within its hard end, a few times at most', async () => {
    await release(ana);
    const request = await ask(ana, { ...DB, incident: await incident(), durationSeconds: 600 });
    const grant = request.grants[0]!;
    const longer = await ana.post<typeof grant>(`/v1/grants/${grant.id}/extend`);
    expect(Date.parse(longer.result.endsAt) - Date.parse(grant.endsAt)).toBe(2 * 3600_000);
    const codes: (string | undefined)[] = [];
    for (let i = 0; i < 6; i++) {
      codes.push(
        (await ana.post(`/v1/grants/${grant.id}/extend`, { durationSeconds: 4 * 3600 })).error?.code,
      );
    }
    expect(codes.at(-1)).toBe('denied');
    const { result } = await ana.get<GrantList>('/v1/grants');
    const now = result.grants.find(({ id }) => id === grant.id);
    expect(Date.parse(now?.endsAt ?? '')).toBeLessThanOrEqual(Date.parse(grant.hardEndsAt));
  });
});

describe('reloading', () => {
  it('leaves the old catalogue in force when the new one is bad, and says so', async () => {
    const good = installation.read('catalogue.yaml');
    installation.write('catalogue.yaml', good.replace('defaultRole: read', 'defaultRole: reed'));
    await broker.reload();
    expect((await ana.get('/v1/resources')).status).toBe(200);
    expect(installation.log.some((line) => line.includes('reed') && line.includes('"level":50'))).toBe(true);
    installation.write('catalogue.yaml', good);
  });

  it('ends the grants of people and resources that are gone', async () => {
    const good = installation.read('catalogue.yaml');
    const request = await ask(ana, { ...DB, incident: await incident() });
    installation.write('catalogue.yaml', good.slice(0, good.indexOf('resources:')));
    await broker.reload();
    const ended = async () => {
      const { result } = await ana.get<GrantList>('/v1/grants');
      return result.grants.find(({ id }) => id === request.grants[0]?.id)?.state === 'ended';
    };
    await waitFor(ended, { what: 'the end of the grant' });
    installation.write('catalogue.yaml', good);
    await broker.reload();
  });

  it('is done at the start too: what left while no broker was looking loses its grants', async () => {
    const other = await install({ catalogue: withPostgres() });
    const before = await other.start();
    const [mine, declarer] = [await enrolled(other, 'ana'), await enrolled(other, 'dora')];
    await declarer.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
    const { result } = await mine.post<RequestView>('/v1/requests', { ...DB, incident: 'P1-1' });
    expect(result.state).toBe('granted');
    await before.stop();
    const good = other.read('catalogue.yaml');
    other.write('catalogue.yaml', good.slice(0, good.indexOf('resources:')));
    await other.start();
    const { result: after } = await mine.get<GrantList>('/v1/grants');
    expect(after.grants.map(({ state }) => state)).toEqual(['ended']);
  });
});
