import { describe, expect, it } from 'vitest';
import type { StoreContext } from './contract.ts';
import { T0, unique } from './sample-rows.ts';

export function replayContract(context: StoreContext): void {
  describe('what counts once', () => {
    it('accepts a nonce once for each key', async () => {
      const { store } = context;
      const key = unique('key');
      const claim = (keyId: string, nonce: string) =>
        store.write((tx) => tx.claimNonce(keyId, nonce, T0 + 60_000, T0));
      expect(await claim(key, 'n1')).toBe(true);
      expect(await claim(key, 'n1')).toBe(false);
      expect(await claim(key, 'n2')).toBe(true);
      expect(await claim(unique('key'), 'n1')).toBe(true);
    });

    it('sweeps old nonces on the way and keeps those that count', async () => {
      const { store } = await context.fresh();
      const claim = (nonce: string, expiresAt: number, now: number) =>
        store.write((tx) => tx.claimNonce('key', nonce, expiresAt, now));
      for (let n = 0; n < 20; n++) await claim(`old${n}`, T0, T0 - 1);
      await claim('kept', T0 + 60_000, T0);
      let swept = false;
      for (let n = 0; !swept && n < 500; n++) {
        await claim(`new${n}`, T0 + 60_000, T0 + 1);
        swept = await claim('old0', T0 + 60_000, T0 + 1);
      }
      expect(swept).toBe(true);
      expect(await claim('kept', T0 + 60_000, T0 + 1)).toBe(false);
    });

    it('keeps one reply for each device and key', async () => {
      const { store } = context;
      const reply = {
        deviceId: unique('dev'),
        key: 'k',
        fingerprint: 'f',
        status: 200,
        reply: '{"result":{"text":"\\u0000"}}',
        createdAt: T0,
      };
      expect(await store.read((tx) => tx.idempotency(reply.deviceId, 'k'))).toBeUndefined();
      await store.write((tx) => tx.insertIdempotency(reply));
      expect(await store.read((tx) => tx.idempotency(reply.deviceId, 'k'))).toEqual(reply);
      const again = store.write((tx) => tx.insertIdempotency({ ...reply, reply: '{}' }));
      await expect(again).rejects.toMatchObject({ code: 'conflict' });
      expect(await store.read((tx) => tx.idempotency(reply.deviceId, 'k'))).toEqual(reply);
    });

    it('counts attempts within a window and begins anew after it', async () => {
      const { store } = context;
      const key = unique('10.0.0.1');
      const count = (at: number) => store.write((tx) => tx.countAttempt(key, 1000, at));
      expect(await count(T0)).toBe(1);
      expect(await count(T0 + 999)).toBe(2);
      expect(await count(T0 + 1000)).toBe(1);
      expect(await count(T0 + 1999)).toBe(2);
      expect(await store.write((tx) => tx.countAttempt(unique('10.0.0.2'), 1000, T0))).toBe(1);
    });
  });
}
