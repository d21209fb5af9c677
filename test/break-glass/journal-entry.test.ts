import { generateKeyPairSync, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createEntry, emptyHead, parseEntry, verifyEntry } from '../../src/break-glass/journal-entry.ts';
import { formatPublicKey } from '../../src/protocol/keys.ts';

const DEVICE = 'dev_01jzzzzzzzzzzzzzzz0';
const AT = '2026-01-05T02:14:00.000Z';

function createDevice(curve: 'ed25519' | 'p256' = 'ed25519') {
  const { privateKey, publicKey } =
    curve === 'ed25519'
      ? generateKeyPairSync('ed25519')
      : generateKeyPairSync('ec', { namedCurve: 'prime256v1' });
  const raw = (bytes: Uint8Array) =>
    curve === 'ed25519'
      ? sign(null, bytes, privateKey)
      : sign('sha256', bytes, { key: privateKey, dsaEncoding: 'ieee-p1363' });
  return { sign: async (bytes: Uint8Array) => raw(bytes), publicKey: formatPublicKey(publicKey) };
}

const begin = { type: 'begin', checkpoint: null, contactAt: null } as const;
const use = { type: 'use', pack: 'bg_01jzzzzzzzzzzzzzzz1', slot: 0, tool: 'psql' } as const;
const entry = (event: typeof begin | typeof use) => ({ at: AT, device: DEVICE, user: 'ana', event });

describe.each(['ed25519', 'p256'] as const)('a journal signed by %s', (curve) => {
  test('is one chain from the first entry on', async () => {
    const device = createDevice(curve);
    const first = await createEntry(emptyHead(DEVICE), entry(begin), device.sign);
    const second = await createEntry(first.head, entry(use), device.sign);
    const owner = { id: DEVICE, publicKey: device.publicKey };
    const { head } = verifyEntry(first.line, emptyHead(DEVICE), owner);
    expect(head).toEqual(first.head);
    expect(verifyEntry(second.line, head, owner).entry.event).toEqual(use);
  });
});

describe('what is refused', () => {
  async function chain() {
    const device = createDevice();
    const first = await createEntry(emptyHead(DEVICE), entry(begin), device.sign);
    const second = await createEntry(first.head, entry(use), device.sign);
    return { device, first, second, owner: { id: DEVICE, publicKey: device.publicKey } };
  }

  test('an entry that was left out, written twice, or begins elsewhere', async () => {
    const { first, second, owner } = await chain();
    for (const [line, head] of [
      [second.line, emptyHead(DEVICE)],
      [first.line, first.head],
      [first.line, emptyHead('dev_01jzzzzzzzzzzzzzzz9')],
    ] as const)
      expect(() => verifyEntry(line, head, owner)).toThrow(expect.objectContaining({ code: 'conflict' }));
  });

  test('an altered entry, and one of another device', async () => {
    const { first, owner } = await chain();
    const other = { id: DEVICE, publicKey: createDevice().publicKey };
    const altered = first.line.replace('"ana"', '"ben"');
    for (const [line, device] of [
      [altered, owner],
      [first.line, other],
      [first.line, { ...owner, id: 'dev_01jzzzzzzzzzzzzzzz9' }],
    ] as const)
      expect(() => verifyEntry(line, emptyHead(DEVICE), device)).toThrow(
        expect.objectContaining({ code: 'audit_invalid' }),
      );
  });

  test('another spelling, an unknown member, an unknown event, a line that is too long', async () => {
    const { first } = await chain();
    const value = JSON.parse(first.line) as Record<string, unknown>;
    for (const line of [
      ` ${first.line}`,
      JSON.stringify({ ...value, more: 1 }),
      first.line.replace('"begin"', '"began"'),
      first.line.replace('"user":"ana"', `"user":"${'a'.repeat(20_000)}"`),
      first.line.slice(0, -3),
      '',
    ])
      expect(() => parseEntry(line)).toThrow(expect.objectContaining({ code: 'audit_invalid' }));
  });
});
