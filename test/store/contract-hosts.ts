import { describe, expect, it } from 'vitest';
import type { HostRow, LoginRow } from '../../src/store/rows.ts';
import type { StoreContext } from './contract.ts';
import { T0, unique } from './sample-rows.ts';

const DAY_MS = 86_400_000;

const sampleHost = (change: Partial<HostRow> = {}): HostRow => ({
  id: `web/${unique('host')}`,
  resource: 'web',
  publicKey: 'ed25519:AAAA',
  state: 'active',
  addedBy: 'root',
  addedAt: T0,
  lastSeenAt: null,
  ...change,
});

const sampleLogin = (change: Partial<LoginRow> = {}): LoginRow => ({
  id: unique('login'),
  host: 'web/one',
  resource: 'web',
  kind: 'ssh',
  account: 'ops',
  identity: "ana/gr_x/P1-1'; --",
  serial: '18446744073709551615',
  address: '[2001:db8::7]:52114',
  at: T0,
  receivedAt: T0 + 1,
  matched: null,
  ...change,
});

export function hostContract(context: StoreContext): void {
  describe('hosts', () => {
    it('come back as they were stored, change, and keep their id after they were removed', async () => {
      const { store } = context;
      const host = sampleHost();
      await store.write((tx) => tx.insertHost(host));
      await store.write((tx) => tx.updateHost(host.id, { lastSeenAt: T0 + 5, state: 'removed' }));
      const rows = await store.read((tx) => tx.hosts());
      expect(rows.find(({ id }) => id === host.id)).toEqual({
        ...host,
        lastSeenAt: T0 + 5,
        state: 'removed',
      });
      await expect(store.write((tx) => tx.insertHost(host))).rejects.toMatchObject({ code: 'conflict' });
      const nobody = store.write((tx) => tx.updateHost('web/nobody', { lastSeenAt: T0 }));
      await expect(nobody).rejects.toMatchObject({ code: 'not_found' });
    });
  });

  describe('logins', () => {
    it('are there once, are found by what they rest on, and are dropped after 90 days', async () => {
      const { store } = await context.fresh();
      const login = sampleLogin();
      const later = sampleLogin({ at: T0 + 9, receivedAt: T0 + DAY_MS, host: 'web/two' });
      const taken = await store.write(async (tx) => [
        await tx.insertLogin(login),
        await tx.insertLogin({ ...login, account: 'other' }),
        await tx.insertLogin(later),
      ]);
      expect(taken).toEqual([true, false, true]);
      expect(await store.read((tx) => tx.unmatchedLogins(10))).toEqual([login, later]);
      expect(await store.read((tx) => tx.unmatchedLogins(1))).toEqual([login]);
      await store.write((tx) => tx.matchLogin(login.id, 'gr_1'));
      expect(await store.read((tx) => tx.logins({ matched: 'gr_1', limit: 9 }))).toEqual([
        { ...login, matched: 'gr_1' },
      ]);
      const found = await store.read((tx) =>
        tx.logins({ host: 'web/two', identity: later.identity, serial: later.serial, limit: 9 }),
      );
      expect(found).toEqual([later]);
      await store.write((tx) => tx.sweepLogins(T0 + 90 * DAY_MS + 2));
      expect(await store.read((tx) => tx.logins({ limit: 9 }))).toEqual([later]);
    });
  });
}
