// One grant's life with everything kept in PostgreSQL: what the other tests show on SQLite holds here.
import { beforeAll, describe, expect, it } from 'vitest';
import type { CredentialReply, GrantView, RequestView } from '../../src/protocol/messages.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { expectWholeLog, readLog } from '../support/one-life.ts';
import { part } from '../support/parts.ts';
import { installWithTarget, material, type Target } from '../support/target.ts';
import { migrateStore, POSTGRES_STORE } from './second-broker.ts';

describe.skipIf(!part('postgres'))('on a PostgreSQL store', () => {
  let target: Target;
  let ana: TestDevice;
  let dora: TestDevice;

  beforeAll(async () => {
    target = await installWithTarget({ store: POSTGRES_STORE });
    await migrateStore(target.installation);
    await target.installation.start();
    ana = await enrolled(target.installation, 'ana');
    dora = await enrolled(target.installation, 'dora');
    await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  });

  it('a grant is asked for, used, renewed, extended, released and proven ended', async () => {
    const body = { targets: [{ resource: 'db-replica' }], incident: 'P1-1', durationSeconds: 600 };
    const request = await ana.post<RequestView>('/v1/requests', body);
    const grant = request.result.grants[0]!;
    const path = `/v1/grants/${grant.id}`;
    const first = (await ana.post<CredentialReply>(`${path}/credentials`, { material: material() })).result;
    expect(await target.canLogIn(first.handle)).toBe(true);
    const renewal = { material: material(), renews: first.credentialId };
    const second = (await ana.post<CredentialReply>(`${path}/credentials`, renewal)).result;
    expect(second).toMatchObject({ handle: first.handle, prolonged: true });
    const longer = (await ana.post<GrantView>(`${path}/extend`)).result;
    expect(Date.parse(longer.endsAt)).toBeGreaterThan(Date.parse(grant.endsAt));
    const { result } = await ana.post<GrantView>(`${path}/release`);
    expect(result).toMatchObject({ state: 'ended', credentials: [{ state: 'ended' }] });
    expect(result.credentials[0]?.proof).toMatch(/^proven/);
    expect(await target.canLogIn(first.handle)).toBe(false);
    expect(await target.roles()).toEqual([]);
  });

  it('the log tells it in order, and verifies', async () => {
    const entries = await readLog(dora);
    const events = entries.map(({ entry }) => (JSON.parse(entry) as { event: string }).event);
    const life = events.filter((event) => /^(request|grant|credential)\./.test(event));
    expect(life).toEqual([
      ...['request.granted', 'grant.created', 'credential.issuing', 'credential.live'],
      ...['credential.renewing', 'credential.renewed', 'grant.extended'],
      ...['grant.ended', 'credential.ending', 'credential.ended'],
    ]);
    await expectWholeLog(target.installation.url, dora, entries);
  });

  it('a second life under the same idempotency key answers with the first', async () => {
    const body = { targets: [{ resource: 'db-replica' }], incident: 'P1-1' };
    const options = { idempotencyKey: 'postgres-store-1' };
    const [first, second] = [
      await ana.post<RequestView>('/v1/requests', body, options),
      await ana.post<RequestView>('/v1/requests', body, options),
    ];
    expect(second.result.id).toBe(first.result.id);
    expect(second.audit?.receipt).toEqual(first.audit?.receipt);
    await ana.post(`/v1/grants/${first.result.grants[0]?.id}/release`);
  });
});
