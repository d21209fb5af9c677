// A pack of the real broker at a real sshd and a real PostgreSQL that were brought in by the guide: what its slots open, what they
// don't, and that it is over once it was revoked.
import { beforeAll, describe, expect, it } from 'vitest';
import { verifyPack } from '../../src/break-glass/pack.ts';
import { brokerTarget } from '../../src/broker/commands.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { part } from '../support/parts.ts';
import { SSH_LOGIN } from '../support/sshd.ts';
import {
  type BreakGlassWorld,
  countOrders,
  fetchPack,
  host,
  type PackHolder,
  runSsh,
  slotAt,
  startBreakGlassWorld,
} from './break-glass-world.ts';

const isHere = part('sshd') && part('postgres') && part('psql') && part('nginx');

describe.skipIf(!isHere)('a break-glass pack', () => {
  let world: BreakGlassWorld;
  let ana: TestDevice;
  let dora: TestDevice;
  let ssh: PackHolder;
  let postgres: PackHolder;

  beforeAll(async () => {
    world = await startBreakGlassWorld();
    ana = await enrolled(world.installation, 'ana');
    dora = await enrolled(world.installation, 'dora');
    ssh = await fetchPack(ana, 'db-host');
    postgres = await fetchPack(ana, 'db-replica');
  }, 60_000);

  it('is signed by the broker for this device', async () => {
    const { identityKey } = (await (await fetch(`${world.installation.url}/v1/identity`)).json()) as {
      identityKey: string;
    };
    for (const { pack } of [ssh, postgres]) verifyPack(pack, identityKey, { user: 'ana', device: ana.id });
    expect(() => verifyPack(ssh.pack, identityKey, { user: 'ben', device: ana.id })).toThrow();
    const edited = { ...ssh.pack, role: 'root' };
    expect(() => verifyPack(edited, identityKey, { user: 'ana', device: ana.id })).toThrow();
  });

  it('logs in to the host, under a name and key id of its own', async () => {
    const slot = slotAt(ssh.pack, Date.now());
    expect(await runSsh(ssh, slot)).toEqual({ code: 0, stdout: SSH_LOGIN });
    expect(world.sshd.log()).toContain(
      `ID bg/ana/${ssh.pack.id}/${slot} (serial ${ssh.pack.slots[slot]!.serial})`,
    );
    expect((await runSsh(ssh, slot, 'root')).code).not.toBe(0);
  });

  it('logs in to the database, which knows who by', async () => {
    const slot = slotAt(postgres.pack, Date.now());
    expect(await countOrders(postgres, slot)).toBe(42);
    expect(world.server.log()).toContain(
      `identity="OU=bg/ana/${postgres.pack.id}/${slot},CN=breakglass-db-replica-read" method=cert`,
    );
    for (const other of ['postgres', 'oncall_broker', 'bg_tpl_read'])
      expect(await countOrders(postgres, slot, other)).not.toBe(42);
  });

  it('opens nothing by a slot whose time has not come', async () => {
    const last = ssh.pack.slots.at(-1)!.number;
    expect((await runSsh(ssh, last)).code).not.toBe(0);
    expect(await countOrders(postgres, last)).not.toBe(42);
  });

  it('is what the check of each target proves', async () => {
    for (const resource of ['db-host', 'db-replica']) {
      const { directory } = world.installation;
      const checking = brokerTarget({ directory, resource, check: true }, host);
      const isDone = checking.then(() => true);
      // The list may change between its two halves: the next pull gets both.
      const pulling = () =>
        world.pull().then(
          () => false,
          () => false,
        );
      while (!(await Promise.race([isDone, pulling()])));
      const { data } = await checking;
      const found = (data as { requirements: { name: string; ok: boolean; detail: string }[] }).requirements;
      const about = found.filter(({ name }) => /break-glass|is refused/.test(name));
      expect(about.filter(({ ok }) => !ok)).toEqual([]);
      expect(about.length).toBeGreaterThan(5);
    }
  }, 30_000);

  it('is refused everywhere once its device was revoked', async () => {
    const other = await enrolled(world.installation, 'ana');
    const kept = await fetchPack(other, 'db-host');
    const revoked = await ana.post(`/v1/devices/${ana.id}/revoke`, {});
    expect(revoked.status).toBe(200);
    await world.pull();
    const now = Date.now();
    expect((await runSsh(ssh, slotAt(ssh.pack, now))).code).not.toBe(0);
    expect(await countOrders(postgres, slotAt(postgres.pack, now))).not.toBe(42);
    expect((await runSsh(kept, slotAt(kept.pack, now))).code).toBe(0);
  });

  it('is refused once its epoch was rotated, and a new one is planned', async () => {
    const device = await enrolled(world.installation, 'ana');
    const before = await fetchPack(device, 'db-replica');
    expect(await countOrders(before, slotAt(before.pack, Date.now()))).toBe(42);
    const rotated = await dora.post('/v1/break-glass/rotate', { resource: 'db-replica' });
    expect(rotated).toMatchObject({ status: 200, result: { epoch: 2, taintedAt: null, reviews: [] } });
    await world.pull();
    expect(await countOrders(before, slotAt(before.pack, Date.now()))).not.toBe(42);
    const after = await fetchPack(device, 'db-replica');
    expect(after.pack.epoch).toBe(2);
    expect(await countOrders(after, slotAt(after.pack, Date.now()))).toBe(42);
  });
});
