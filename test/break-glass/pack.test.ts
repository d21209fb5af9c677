import { generateKeyPairSync, sign } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  deviceWebhookKey,
  openPart,
  planSlots,
  SLOT_MS,
  SLOT_STEP_MS,
  sealPart,
  signPack,
  verifyPack,
} from '../../src/break-glass/pack.ts';
import { formatPublicKey } from '../../src/protocol/keys.ts';
import type { Pack } from '../../src/protocol/messages.ts';

const HOUR_MS = 3_600_000;
const START = Date.UTC(2026, 0, 5, 20);
const PACK = 'bg_01jzzzzzzzzzzzzzzz1';
const broker = generateKeyPairSync('ed25519');
const identityKey = formatPublicKey(broker.publicKey);
const signBy = (key: typeof broker) => (bytes: Uint8Array) => sign(null, bytes, key.privateKey);
const unsigned: Omit<Pack, 'signature'> = {
  schema: 'oncall.pack/v1',
  id: PACK,
  user: 'ana',
  device: 'dev_01jzzzzzzzzzzzzzzz0',
  resource: 'db-host',
  role: 'operator',
  kind: 'ssh',
  epoch: 1,
  name: 'breakglass-db-host-operator',
  material: { kind: 'ssh', publicKey: 'ssh-ed25519 AAAA' },
  place: { kind: 'ssh', login: 'ops', hosts: [], knownHosts: [] },
  webhook: null,
  issuedAt: '2026-01-05T12:00:00.000Z',
  startsAt: '2026-01-05T20:00:00.000Z',
  endsAt: '2026-01-06T08:00:00.000Z',
  slots: [],
};
const owner = { user: 'ana', device: unsigned.device };

describe('the slots of a pack', () => {
  test('cover all of it, half an hour ahead, none longer than an hour', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 24 * HOUR_MS }),
        fc.double({ min: 0, max: 0.999999, noNaN: true }),
        (cover, part) => {
          const slots = planSlots(START, START + cover);
          const moment = START + Math.floor(cover * part);
          const good = slots.filter((slot) => slot.notBeforeMs <= moment && moment < slot.notAfterMs);
          expect(Math.max(...good.map(({ notAfterMs }) => notAfterMs - moment))).toBeGreaterThan(
            SLOT_STEP_MS - 1,
          );
          for (const slot of slots) expect(slot.notAfterMs - slot.notBeforeMs).toBe(SLOT_MS);
          expect(slots.map(({ number }) => number)).toEqual(slots.map((_, index) => index));
        },
      ),
    );
  });

  test('are refused for a time that is none or longer than a day', () => {
    for (const end of [START, START - 1, START + 24 * HOUR_MS + 1, Number.NaN])
      expect(() => planSlots(START, end)).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});

describe('a pack', () => {
  test('is believed as the broker signed it, for this device alone', () => {
    const pack = signPack(unsigned, signBy(broker));
    expect(() => verifyPack(pack, identityKey, owner)).not.toThrow();
    const others = [
      [{ ...pack, endsAt: '2026-01-07T08:00:00.000Z' }, owner],
      [{ ...pack, epoch: 2 }, owner],
      [signPack(unsigned, signBy(generateKeyPairSync('ed25519'))), owner],
      [pack, { ...owner, device: 'dev_01jzzzzzzzzzzzzzzz9' }],
      [pack, { ...owner, user: 'ben' }],
    ] as const;
    for (const [other, who] of others)
      expect(() => verifyPack(other, identityKey, who)).toThrow(
        expect.objectContaining({ code: 'corrupt_file' }),
      );
  });

  test('opens one slot at a time, on the device that it was sealed to', async () => {
    const device = generateKeyPairSync('x25519');
    const sealed = await sealPart(formatPublicKey(device.publicKey), PACK, 3, Buffer.from('certificate'));
    expect(Buffer.from(await openPart(device.privateKey, PACK, 3, sealed)).toString()).toBe('certificate');
    const stranger = generateKeyPairSync('x25519').privateKey;
    for (const open of [
      () => openPart(stranger, PACK, 3, sealed),
      () => openPart(device.privateKey, PACK, 4, sealed),
      () => openPart(device.privateKey, PACK, 'webhook', sealed),
      () => openPart(device.privateKey, 'bg_01jzzzzzzzzzzzzzzz2', 3, sealed),
    ])
      await expect(open()).rejects.toMatchObject({ code: 'corrupt_file' });
  });

  test('gives each device a secret of its own for the webhook', () => {
    const one = deviceWebhookKey('secret', 'dev_1');
    expect(one).toHaveLength(32);
    expect(deviceWebhookKey('secret', 'dev_1')).toEqual(one);
    expect(deviceWebhookKey('secret', 'dev_2')).not.toEqual(one);
    expect(deviceWebhookKey('other', 'dev_1')).not.toEqual(one);
  });
});
