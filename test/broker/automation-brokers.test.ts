// Two brokers on one PostgreSQL: what an alert opens is opened once, whichever of them hears of it.
import { describe, expect, it } from 'vitest';
import type { GrantList } from '../../src/protocol/messages.ts';
import { enrolled } from '../support/device.ts';
import { install } from '../support/installation.ts';
import { readLog } from '../support/one-life.ts';
import { part } from '../support/parts.ts';
import { waitFor } from '../support/temp.ts';
import { sentIncident } from '../support/webhook-senders.ts';
import { pagerduty, SECRETS } from './evening.ts';
import { eveningCatalogue } from './evening-catalogue.ts';
import { copyInstallation, migrateStore, POSTGRES_STORE, startSecond } from './second-broker.ts';

const AUTOMATION = `automation:
  alerts: { on: { alert: { service: orders } }, bundle: wide }
  refused: { on: { alert: { service: orders } }, bundle: deep }
`;

describe.skipIf(!part('postgres'))('two brokers on one PostgreSQL', () => {
  it('open once what both are told of at once, and write a refusal down once', async () => {
    const catalogue = eveningCatalogue(AUTOMATION).replace('people: [ana, ben]', 'people: [ana]');
    const installation = await install({ catalogue, store: POSTGRES_STORE });
    await migrateStore(installation);
    const second = await copyInstallation(installation);
    await installation.start({ env: SECRETS });
    await startSecond(second, { env: SECRETS });
    const ana = await enrolled(installation, 'ana');
    const dora = await enrolled(installation, 'dora');

    const now = Date.now();
    const incident = sentIncident({ startedAtMs: now });
    const said = [pagerduty.deliver('fire', incident, now), pagerduty.deliver('acknowledge', incident, now)];
    const answers = await Promise.all(
      [installation.url, second.url, installation.url, second.url].flatMap((url) =>
        said.map(({ headers, body }) =>
          fetch(`${url}/v1/webhooks/pagerduty`, { method: 'POST', headers, body: new Uint8Array(body) }),
        ),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(8).fill(202));

    const entries = async () =>
      (await readLog(dora)).map(
        ({ entry }) => JSON.parse(entry) as { event: string; subject: { user?: string } },
      );
    const refusals = async () => (await entries()).filter(({ event }) => event === 'automation.refused');
    await waitFor(async () => (await refusals()).length > 0, { what: 'the refusal' });
    const { result } = await ana.get<GrantList>('/v1/grants');
    expect(
      result.grants.map(({ state, target }) => `${target.resource}:${target.role} ${state}`).sort(),
    ).toEqual(['db-host:shell ready', 'db-web:shell ready']);
    expect((await entries()).filter(({ event }) => event === 'incident.opened')).toHaveLength(1);
    expect(await refusals()).toHaveLength(1);
  });
});
