// Alertmanager by client certificate: asked for only where a source is known by one, and nothing else changes for that.
import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { RunningBroker } from '../../src/broker/broker.ts';
import { brokerRotateTls } from '../../src/broker/commands.ts';
import { alertmanagerSender } from '../support/alertmanager-sender.ts';
import { makeCa, makeClientCertificate, type TestCa } from '../support/client-certificate.ts';
import { DELIVERING, installDelivering } from '../support/delivering.ts';
import type { Installation } from '../support/installation.ts';
import { sentIncident } from '../support/webhook-senders.ts';

const BY_CERTIFICATE = DELIVERING.replace(
  'bearer: { file: secrets/am }',
  'clientCertificate: { ca: ca.pem, names: [alertmanager] }',
);

type Shown = { cert: string; key: string } | undefined;

/** The status of one delivery over a connection of its own. */
function deliver({ url }: Installation, shown: Shown): Promise<number> {
  const incident = sentIncident({ startedAtMs: Date.now() });
  const { headers, body } = alertmanagerSender().deliver('fire', incident, Date.now());
  return new Promise((resolve, reject) => {
    const sent = request(`${url}/v1/webhooks/am`, {
      ...shown,
      method: 'POST',
      headers,
      agent: false,
      rejectUnauthorized: false,
    });
    sent.once('response', (response) => resolve(response.resume().statusCode ?? 0)).once('error', reject);
    sent.end(body);
  });
}

describe('a source that is known by its client certificate', () => {
  let installation: Installation;
  let broker: RunningBroker;
  let genuine: Shown;
  let foreign: Shown;
  let misnamed: Shown;

  beforeAll(async () => {
    installation = await installDelivering({ tls: true });
    const ca = await makeCa('CN=monitoring');
    const shownBy = async (issuer: TestCa, subject?: string): Promise<Shown> => {
      const { certificate, key } = await makeClientCertificate(
        issuer,
        subject === undefined ? {} : { subject },
      );
      return { cert: certificate, key };
    };
    genuine = await shownBy(ca);
    misnamed = await shownBy(ca, 'CN=grafana');
    foreign = await shownBy(await makeCa('CN=monitoring'));
    writeFileSync(join(installation.directory, 'ca.pem'), ca.pem);
    broker = await installation.start();
  });

  const all = async () => ({
    genuine: await deliver(installation, genuine),
    misnamed: await deliver(installation, misnamed),
    foreign: await deliver(installation, foreign),
    none: await deliver(installation, undefined),
  });
  const REFUSED = { genuine: 401, misnamed: 401, foreign: 401, none: 401 };

  it('is asked for one from the reload on that brings it', async () => {
    expect(await all()).toEqual(REFUSED);
    installation.write('catalogue.yaml', BY_CERTIFICATE);
    await broker.reload();
    expect(await all()).toEqual({ ...REFUSED, genuine: 202 });
  });

  it('is still asked for one with another TLS key', async () => {
    const host = { env: {}, now: Date.now } as Parameters<typeof brokerRotateTls>[1];
    await brokerRotateTls({ directory: installation.directory }, host);
    await broker.reload();
    expect(await all()).toEqual({ ...REFUSED, genuine: 202 });
  });

  it('is asked for one by a broker that starts with it', async () => {
    await broker.stop();
    broker = await installation.start();
    expect(await all()).toEqual({ ...REFUSED, genuine: 202 });
  });
});
