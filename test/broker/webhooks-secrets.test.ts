// The secrets that deliveries are verified with: renewed without a gap, and missing without harm to other sources.
import { describe, expect, it } from 'vitest';
import { brokerCheck } from '../../src/broker/commands.ts';
import {
  DELIVERING,
  deliver,
  installDelivering,
  SECRETS,
  SENDERS,
  writeSecret,
} from '../support/delivering.ts';
import { pagerdutySender, sentIncident } from '../support/webhook-senders.ts';

const fire = () => SENDERS.pd.deliver('fire', sentIncident(), Date.now());

describe('secrets', () => {
  it('rotate by a reload, and both are good while both are listed', async () => {
    const installation = await installDelivering();
    const broker = await installation.start();
    const [older, newer] = [SENDERS.pd, pagerdutySender('the next secret')];
    const statuses = async () => {
      const sent = [older, newer].map((sender) => sender.deliver('fire', sentIncident(), Date.now()));
      const answers = await Promise.all(sent.map((one) => deliver(installation.url, 'pd', one)));
      return answers.map(({ status }) => status);
    };
    const listing = (refs: string) =>
      installation.write('catalogue.yaml', DELIVERING.replace('{ file: secrets/pd }', refs));
    expect(await statuses()).toEqual([202, 401]);
    writeSecret(installation, 'pd-next', 'the next secret');
    listing('{ file: secrets/pd }, { file: secrets/pd-next }');
    await broker.reload();
    expect(await statuses()).toEqual([202, 202]);
    listing('{ file: secrets/pd-next }');
    await broker.reload();
    expect(await statuses()).toEqual([401, 202]);
  });

  it('that are missing keep their own source out, until they are there', async () => {
    const installation = await installDelivering();
    installation.write('catalogue.yaml', DELIVERING.replace('secrets/pd', 'secrets/later'));
    const host = { env: {}, now: Date.now } as Parameters<typeof brokerCheck>[1];
    const { data } = await brokerCheck({ directory: installation.directory }, host);
    const { findings } = data as { findings: { message: string }[] };
    expect(findings.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/source pd: .*later/),
    );
    await installation.start();
    expect(installation.log.join('')).toMatch(/source pd: .*later/);
    const first = await deliver(installation.url, 'pd', fire());
    expect([first.status, first.body.error?.message]).toEqual([
      401,
      'the broker does not recognise this request',
    ]);
    const rooted = SENDERS.root.deliver('fire', sentIncident(), Date.now());
    expect((await deliver(installation.url, 'root', rooted)).status).toBe(202);
    writeSecret(installation, 'later', SECRETS.pd!);
    expect((await deliver(installation.url, 'pd', fire())).status).toBe(202);
  });
});
