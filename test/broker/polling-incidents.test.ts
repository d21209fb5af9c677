// Incidents that are asked for: what a webhook missed, and whether what it said is so.
import { describe, expect, it } from 'vitest';
import { deliver, incidents } from '../support/delivering.ts';
import { HOUR, later, onCall, SECRETS, servePagerDuty, type World } from '../support/polled.ts';
import { waitFor } from '../support/temp.ts';
import { pagerdutySender, sentIncident } from '../support/webhook-senders.ts';

describe('incidents', () => {
  const HOOK = ', webhookSecrets: [{ file: secrets/hook }]';
  const vendorIncident = (fields: object = {}) => ({
    id: 'PINC1',
    number: 4711,
    status: 'triggered' as const,
    title: 'orders are down',
    priority: 'P1',
    service: 'PSVC1',
    createdAtMs: Date.now() - 60_000,
    changedAtMs: Date.now() - 60_000,
    ...fields,
  });
  const only = async (world: World) =>
    (
      await incidents(world.ben, { createdSeconds: Math.floor((Date.now() + world.clock.aheadMs) / 1000) })
    )[0];
  const state = async (world: World) => (await only(world))?.state;

  it('that a webhook missed are found, and their end too', async () => {
    const { vendor, world } = await servePagerDuty(HOOK);
    vendor.setIncidents([vendorIncident()]);
    await later(world, 5000, async () => (await state(world)) === 'open');
    expect((await only(world))?.confirmedAt).not.toBeNull();
    vendor.setIncidents([vendorIncident({ status: 'resolved', changedAtMs: Date.now() })]);
    await later(world, 5000, async () => (await state(world)) === 'resolved');
  });

  it('that a webhook opened are confirmed by the API soon after', async () => {
    const { vendor, world } = await servePagerDuty(HOOK);
    await onCall(world);
    vendor.setIncidents([vendorIncident()]);
    const sent = pagerdutySender(SECRETS.hook).deliver('fire', sentIncident({ id: 'PINC1' }), Date.now());
    expect((await deliver(world.installation.url, 'pd', sent)).status).toBe(202);
    const isConfirmed = async () => (await only(world))?.confirmedAt;
    await waitFor(isConfirmed, { what: 'the confirmation', timeoutMs: 8000 });
  });

  it('that a webhook opened and the API does not know are over, once it has had time to', async () => {
    const { world } = await servePagerDuty(HOOK);
    await onCall(world);
    const sent = pagerdutySender(SECRETS.hook).deliver('fire', sentIncident({ id: 'PINC9' }), Date.now());
    await deliver(world.installation.url, 'pd', sent);
    await waitFor(async () => (await state(world)) === 'open', { what: 'the incident' });
    await later(world, 15_000, async () => (await state(world)) === 'resolved');
    expect(world.clock.aheadMs).toBeGreaterThanOrEqual(45_000);
    expect(await only(world)).toMatchObject({ service: 'orders', priority: 'P1', confirmedAt: null });
  });

  it('that a vendor dates into the future can still end', async () => {
    const { vendor, world } = await servePagerDuty(HOOK);
    vendor.setIncidents([vendorIncident({ changedAtMs: Date.now() + HOUR })]);
    await later(world, 5000, async () => (await state(world)) === 'open');
    vendor.setIncidents([vendorIncident({ status: 'resolved', changedAtMs: Date.now() + 60_000 })]);
    await later(world, 5000, async () => (await state(world)) === 'resolved');
    expect(world.clock.aheadMs).toBeLessThan(HOUR);
  });
});
