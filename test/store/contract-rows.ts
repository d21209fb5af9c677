import { describe, expect, it } from 'vitest';
import type { Tx } from '../../src/store/store.ts';
import type { StoreContext } from './contract.ts';
import { sampleDevice, sampleGrant, sampleRequest, T0, unique } from './sample-rows.ts';

export function rowContract(context: StoreContext): void {
  describe('devices and invitations', () => {
    it('gives a device back as it was stored, by id, key and user', async () => {
      const { store } = context;
      const device = sampleDevice();
      await store.write((tx) => tx.insertDevice(device));
      await store.read(async (tx) => {
        expect(await tx.device(device.id)).toEqual(device);
        expect(await tx.deviceByKeyId(device.keyId)).toEqual(device);
        expect(await tx.devicesOf(device.user)).toEqual([device]);
        expect(await tx.activeDevices()).toContainEqual(device);
        expect(await tx.device('dev_nobody')).toBeUndefined();
      });
    });

    it('changes a device and lists it among the active ones no more', async () => {
      const { store } = context;
      const device = sampleDevice();
      await store.write((tx) => tx.insertDevice(device));
      await store.write((tx) => tx.updateDevice(device.id, { lastSeenAt: T0 + 1 }));
      await store.write((tx) => tx.updateDevice(device.id, { state: 'revoked', revokedAt: T0 + 2 }));
      const changed = { ...device, state: 'revoked', lastSeenAt: T0 + 1, revokedAt: T0 + 2 };
      expect(await store.read((tx) => tx.device(device.id))).toEqual(changed);
      expect((await store.read((tx) => tx.activeDevices())).map(({ id }) => id)).not.toContain(device.id);
    });

    it('refuses a second device with the same key', async () => {
      const { store } = context;
      const device = sampleDevice();
      await store.write((tx) => tx.insertDevice(device));
      const again = store.write((tx) => tx.insertDevice(sampleDevice({ keyId: device.keyId })));
      await expect(again).rejects.toMatchObject({ code: 'conflict' });
    });

    it('refuses a change to what is not there', async () => {
      const { store } = context;
      for (const change of [
        (tx: Tx) => tx.updateDevice('dev_nobody', { lastSeenAt: T0 }),
        (tx: Tx) => tx.updateIncident('P1-none', { title: 'x' }),
        (tx: Tx) => tx.updateGrant('gr_none', { extensions: 1 }),
      ]) {
        await expect(store.write(change)).rejects.toMatchObject({ code: 'not_found' });
      }
    });

    it('lets an invitation be used once, and not after its end', async () => {
      const { store } = context;
      const invite = {
        codeHash: unique('hash'),
        user: 'ada',
        createdBy: 'grace',
        createdAt: T0,
        expiresAt: T0 + 1000,
        usedAt: null,
        deviceId: null,
      };
      const late = { ...invite, codeHash: unique('hash') };
      await store.write(async (tx) => {
        await tx.insertInvite(invite);
        await tx.insertInvite(late);
      });
      const use = (codeHash: string, deviceId: string, at: number) =>
        store.write((tx) => tx.useInvite(codeHash, deviceId, at));
      expect(await use(late.codeHash, 'dev_1', T0 + 1000)).toBe(false);
      expect(await use(unique('wrong'), 'dev_1', T0)).toBe(false);
      expect(await use(invite.codeHash, 'dev_1', T0 + 999)).toBe(true);
      expect(await use(invite.codeHash, 'dev_2', T0 + 999)).toBe(false);
      expect(await store.read((tx) => tx.invite(invite.codeHash))).toEqual({
        ...invite,
        usedAt: T0 + 999,
        deviceId: 'dev_1',
      });
    });
  });

  describe('requests and approvals', () => {
    it('keeps nested JSON as it is, null among it', async () => {
      const { store } = context;
      const request = sampleRequest({
        bundle: 'orders-fire',
        decision: { text: 'a\u0000b "quoted" \u{1f6a8}', nothing: null, list: [1, [true]] },
      });
      await store.write((tx) => tx.insertRequest(request));
      expect(await store.read((tx) => tx.request(request.id))).toEqual(request);
      expect(await store.read((tx) => tx.requests({ user: request.user, limit: 5 }))).toEqual([request]);
      expect(
        await store.read((tx) => tx.requests({ user: request.user, state: 'granted', limit: 5 })),
      ).toEqual([]);
    });

    it('settles a request once', async () => {
      const { store } = context;
      const request = sampleRequest();
      await store.write((tx) => tx.insertRequest(request));
      const settle = (state: 'granted' | 'denied', durationSeconds?: number) =>
        store.write((tx) =>
          tx.settleRequest(request.id, {
            state,
            decidedAt: T0 + 5,
            outcome: 'grace',
            ...(durationSeconds !== undefined && { durationSeconds }),
          }),
        );
      expect(await settle('granted', 60)).toBe(true);
      expect(await settle('denied')).toBe(false);
      expect(await store.read((tx) => tx.request(request.id))).toEqual({
        ...request,
        state: 'granted',
        durationSeconds: 60,
        decidedAt: T0 + 5,
        outcome: 'grace',
      });
    });

    it('takes one answer of each approver, and goes on after a second', async () => {
      const { store } = context;
      const request = sampleRequest();
      const answer = (approver: string, at: number) =>
        ({
          requestId: request.id,
          approver,
          verdict: 'approve',
          durationSeconds: null,
          reason: null,
          at,
        }) as const;
      const results = await store.write(async (tx) => {
        await tx.insertRequest(request);
        return [
          await tx.insertApproval(answer('grace', T0)),
          await tx.insertApproval({ ...answer('grace', T0 + 1), verdict: 'deny' }),
          await tx.insertApproval(answer('linus', T0 + 2)),
        ];
      });
      expect(results).toEqual([true, false, true]);
      expect(await store.read((tx) => tx.approvals(request.id))).toEqual([
        answer('grace', T0),
        answer('linus', T0 + 2),
      ]);
    });

    it('refuses an answer to a request that does not exist', async () => {
      const answer = { requestId: 'req_none', approver: 'grace', verdict: 'approve' } as const;
      await expect(
        context.store.write((tx) =>
          tx.insertApproval({ ...answer, durationSeconds: null, reason: null, at: T0 }),
        ),
      ).rejects.toMatchObject({ code: 'internal' });
    });
  });

  describe('grants', () => {
    it('finds a grant by each of its filters, newest first', async () => {
      const { store } = context;
      const user = unique('ada');
      const incident = unique('P1');
      const rule = unique('rule');
      const old = sampleGrant({ user });
      const young = sampleGrant({
        user,
        resource: unique('db'),
        role: 'write',
        state: 'ready',
        via: 'shift',
        rule,
        startsAt: T0 + 1,
        shiftSchedule: 'orders',
        shiftLevel: 2,
        shiftEndsAt: T0 + 9,
      });
      await store.write(async (tx) => {
        await tx.insertGrant(old, [incident, incident]);
        await tx.insertGrant(young, []);
        await tx.updateGrant(old.id, { state: 'ended', endCause: 'released', endedAt: T0 + 2 });
        await tx.addIncident(young.id, 'P2-1');
        await tx.addIncident(young.id, 'P2-1');
      });
      const ended = { ...old, state: 'ended', endCause: 'released', endedAt: T0 + 2 };
      await store.read(async (tx) => {
        expect(await tx.grants({ user, limit: 9 })).toEqual([young, ended]);
        expect(await tx.grants({ user, limit: 1 })).toEqual([young]);
        expect(await tx.grants({ user, states: ['ended'], limit: 9 })).toEqual([ended]);
        expect(await tx.grants({ user, states: ['ready', 'ended'], limit: 9 })).toEqual([young, ended]);
        expect(await tx.grants({ user, states: ['active'], limit: 9 })).toEqual([]);
        expect(await tx.grants({ user, states: [], limit: 9 })).toEqual([]);
        expect(await tx.grants({ rule, limit: 9 })).toEqual([young]);
        expect(await tx.grants({ rule, states: ['active'], limit: 9 })).toEqual([]);
        expect(await tx.grants({ incident, limit: 9 })).toEqual([ended]);
        expect(await tx.grants({ resource: young.resource, limit: 9 })).toEqual([young]);
        expect(await tx.grants({ user, role: 'write', limit: 9 })).toEqual([young]);
        expect(await tx.grants({ requestId: old.requestId, limit: 9 })).toEqual([ended]);
        expect(await tx.incidentsOf(young.id)).toEqual(['P2-1']);
        expect(await tx.grant(young.id)).toEqual(young);
      });
      expect(await store.write((tx) => tx.lockGrant(young.id))).toEqual(young);
      expect(await store.write((tx) => tx.lockGrant('gr_none'))).toBeUndefined();
    });

    it('begins the window of a grant that was ready, and binds it to another end', async () => {
      const { store } = context;
      const grant = sampleGrant({ state: 'ready', via: 'alert', rule: 'orders-on-fire' });
      const change = {
        state: 'active',
        startsAt: T0 + 5,
        endsAt: T0 + 6,
        hardEndsAt: T0 + 7,
        extensions: 1,
        shiftSchedule: 'orders',
        shiftLevel: 1,
        shiftEndsAt: T0 + 8,
        graceEndsAt: T0 + 9,
        graceCause: 'incident P1-1 was resolved',
      } as const;
      await store.write((tx) => tx.insertGrant(grant, []));
      await store.write((tx) => tx.updateGrant(grant.id, change));
      expect(await store.read((tx) => tx.grant(grant.id))).toEqual({ ...grant, ...change });
      await store.write((tx) => tx.updateGrant(grant.id, { graceEndsAt: null, graceCause: null }));
      expect(await store.read((tx) => tx.grant(grant.id))).toEqual({
        ...grant,
        ...change,
        graceEndsAt: null,
        graceCause: null,
      });
    });
  });
}
