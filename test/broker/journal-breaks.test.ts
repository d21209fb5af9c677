// Journals that do not add up: what shows, what is kept of them, what follows, and who decides.
import { Readable } from 'node:stream';
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type AuditEntry, encodeEntry } from '../../src/audit/entry.ts';
import { leafHash } from '../../src/audit/tree-hash.ts';
import { verifyExport } from '../../src/audit/verify.ts';
import { MAX_LINE_BYTES } from '../../src/break-glass/journal-entry.ts';
import type { StatusReply } from '../../src/protocol/messages.ts';
import { sampleCredential, sampleGrant } from '../store/sample-rows.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import type { TestJournal } from '../support/journal.ts';
import { HOUR, JournalWorld, MINUTE } from './journal-world.ts';

let world: JournalWorld;
let device: TestDevice;
let journal: TestJournal;
let pack: string;

beforeAll(async () => {
  world = await JournalWorld.start();
});

const others: TestDevice[] = [];

async function another(): Promise<TestDevice> {
  const made = await enrolled(world.installation, 'dora', () => Math.floor(world.now() / 1000));
  others.push(made);
  return made;
}

// A person has ten devices at most.
afterEach(async () => {
  for (const { id } of others.splice(0)) await world.dora.post(`/v1/devices/${id}/revoke`);
});

beforeEach(async () => {
  device = await another();
  journal = world.journal(device);
  pack = (await world.pack(device)).id;
});

const alarmOf = async (about = device) =>
  (await world.alarms()).find(({ kind, resource }) => kind === 'journal' && resource === about.id);
const brokenReview = async (about = device) =>
  (await world.reviews()).find(({ journal: found, state }) => found?.device === about.id && state === 'open');
const close = (id: string | undefined, outcome: string) =>
  world.carla.post(`/v1/reviews/${id}/close`, { outcome, note: 'looked at it' });
const kept = async (about = device) =>
  (await world.store.read((tx) => tx.auditSearch({ subject: about.id, limit: 1000 })))
    .toReversed()
    .map(({ entry }) => JSON.parse(entry))
    .filter(({ data }) => data?.line !== undefined);

/** An alarm, a review and a reason; what the page tells is in the log. */
async function expectBroken(reply: Awaited<ReturnType<JournalWorld['upload']>>, why: RegExp) {
  expect(reply.status).toBe(200);
  expect(reply.result.broken).toMatch(why);
  const review = await brokenReview();
  expect(review?.journal?.why).toMatch(why);
  expect(review?.owners).toEqual(['carla']);
  expect(await alarmOf()).toMatchObject({ user: 'dora' });
  expect((await device.get<StatusReply>('/v1/status')).result.warnings.join()).toContain('journal');
}

describe('the chain', () => {
  it('with entries left out', async () => {
    await journal.breakGlass({ pack, slot: world.slotNow });
    const reply = await world.upload(journal, journal.lines.toSpliced(1, 1));
    await expectBroken(reply, /entry 2 is missing/);
    expect(reply.result.seq).toBe(5);
    expect((await kept()).map(({ data }) => data.follows)).toEqual([true, false, true, true]);
    expect((await world.reviews()).some(({ use }) => use?.device === device.id)).toBe(true);
    // The one that was missing turns up.
    const late = await world.upload(journal, journal.lines.slice(1, 2));
    expect(late.result.seq).toBe(2);
    expect((await kept()).length).toBe(5);
  });

  it('in another order', async () => {
    await journal.breakGlass({ pack, slot: world.slotNow });
    const [one, two, three] = journal.lines;
    await expectBroken(await world.upload(journal, [two!, one!, three!]), /entry 1 is missing/);
    expect((await kept()).map(({ data }) => data.line)).toEqual([two, one, three]);
  });

  it('that was rolled back and written on', async () => {
    await journal.breakGlass({ pack, slot: world.slotNow });
    const restored = journal.copy();
    await restored.breakGlass({ pack, slot: world.slotNow - 1 }, { at: world.now() + MINUTE });
    await journal.write({ type: 'begin', checkpoint: null, contactAt: null });
    await world.upload(journal);
    const reply = await world.upload(restored, restored.lines.slice(5));
    await expectBroken(reply, /entry 6 is there a second time/);
    expect(reply.result).toMatchObject(restored.head);
    // All it tells is kept, once; and it goes on from there.
    const size = await world.store.read((tx) => tx.auditSize());
    await world.upload(restored);
    expect(await world.store.read((tx) => tx.auditSize())).toBe(size);
    await restored.write({ type: 'begin', checkpoint: null, contactAt: null });
    const next = await world.upload(restored, restored.lines.slice(-1));
    expect(next.result).toMatchObject(restored.head);
    expect((await kept()).filter(({ data }) => !data.follows)).toHaveLength(1);
  });

  it('that two copies write on by turns', async () => {
    await journal.breakGlass({ pack, slot: world.slotNow });
    const copy = journal.copy();
    await world.upload(journal);
    const begin = { type: 'begin', checkpoint: null, contactAt: null } as const;
    await copy.write({ ...begin, contactAt: new Date(world.now()).toISOString() });
    for (let more = 0; more < 3; more++) await journal.write(begin);
    await world.upload(journal, journal.lines.slice(5));
    await expectBroken(await world.upload(copy, copy.lines.slice(5)), /second time/);
    // Back at the first one, where it had come to: no line is told twice, and the end is its end.
    const back = await world.upload(journal, journal.lines.slice(5));
    expect(back.result).toMatchObject(journal.head);
    expect(await kept()).toHaveLength(9);
    await journal.write(begin);
    await world.upload(journal, journal.lines.slice(-1));
    expect((await kept()).at(-1)?.data.follows).toBe(true);
  });

  it('shorter than it was, at the first request that says so', async () => {
    await journal.breakGlass({ pack, slot: world.slotNow });
    await world.upload(journal);
    // What was on its way when the journal went up proves nothing.
    expect((await world.asWritten(device, 3)).status).toBe(200);
    expect(await alarmOf()).toBeUndefined();
    world.pass(2 * MINUTE);
    expect((await world.asWritten(device, 3)).status).toBe(200);
    expect(await alarmOf()).toMatchObject({ handles: ['entry 5'] });
    const [entry] = await world.entries('journal.rolled-back', device.id);
    expect(JSON.parse(entry!.entry)).toMatchObject({
      data: { head: { seq: 3 }, known: { seq: 5 } },
      embedded: { headers: { 'oncall-journal-seq': '3' } },
    });
    // It writes on from where it says it is.
    const restored = world.journal(device);
    restored.lines = journal.lines.slice(0, 3);
    restored.head = JSON.parse(entry!.entry).data.head;
    await restored.write({ type: 'close', pack, slot: world.slotNow, cause: 'reconciled' });
    expect((await world.asWritten(device, 4)).error?.code).toBe('conflict');
    const reply = await world.upload(restored, restored.lines.slice(3));
    expect(reply.result).toMatchObject(restored.head);
    expect((await kept()).at(-1)?.data.follows).toBe(true);
  });
});

describe('a line', () => {
  it('that the device did not sign, or signed otherwise: the rest is kept', async () => {
    await journal.breakGlass({ pack, slot: world.slotNow });
    const forged = journal.lines[2]!.replace('the broker is away', 'the broker is awry');
    const lines = journal.lines.toSpliced(2, 1, forged);
    await expectBroken(await world.upload(journal, lines), /not signed by this device/);
    expect((await kept()).map(({ data }) => data.line)).toEqual(journal.lines.toSpliced(2, 1));
    const [refused] = await world.entries('journal.unreadable', device.id);
    expect(refused!.entry).not.toContain('awry');
    const size = await world.store.read((tx) => tx.auditSize());
    expect((await world.upload(journal, [forged])).status).toBe(200);
    expect(await world.store.read((tx) => tx.auditSize())).toBe(size);
  });

  it('of another device', async () => {
    const other = world.journal(await another());
    await other.breakGlass({ pack, slot: world.slotNow });
    const reply = await device.post<never>('/v1/break-glass/journal', { lines: other.lines });
    await expectBroken(reply as never, /not signed by this device/);
    expect(await kept()).toEqual([]);
    expect((await world.upload(other)).result.seq).toBe(5);
  });

  it('that was written for another person', async () => {
    await journal.write({ type: 'begin', checkpoint: null, contactAt: null }, { user: 'ana' });
    await expectBroken(await world.upload(journal), /another person/);
  });

  it.each([
    ['no JSON', 'begin'],
    ['JSON of something else', '{"seq":1}'],
  ])('that is %s', async (_, line) => {
    await expectBroken(await world.upload(journal, [line]), /not an entry of a journal/);
  });

  it('that is too long, or too many of them, is not looked at', async () => {
    const tooLong = await world.upload(journal, ['x'.repeat(MAX_LINE_BYTES + 1)]);
    const tooMany = await world.upload(
      journal,
      Array.from({ length: 201 }, () => 'x'),
    );
    const none = await world.upload(journal, []);
    expect([tooLong, tooMany, none].map(({ error }) => error?.code)).toEqual(
      Array.from({ length: 3 }, () => 'invalid_request'),
    );
    const large = await world.upload(
      journal,
      Array.from({ length: 60 }, () => 'x'.repeat(MAX_LINE_BYTES)),
    );
    expect(large.error?.code).toBe('too_large');
    expect(await alarmOf()).toBeUndefined();
  });

  it('whose words would harm a screen or a database is kept, and shown without them', async () => {
    await journal.breakGlass({ pack, slot: world.slotNow, reason: 'a\u0000b\u001b[2Jc\u202ed' });
    const reply = await world.upload(journal);
    expect(reply.status).toBe(200);
    const review = (await world.reviews()).find(({ use }) => use?.pack === pack);
    expect(review?.use?.reason).toBe('a b [2Jc d');
    expect((await kept()).map(({ data }) => data.line)).toEqual(journal.lines);
  });
});

describe('an opening', () => {
  const uploaded = async (change: object, at?: number) => {
    await journal.breakGlass({ pack, slot: world.slotNow, ...change }, at === undefined ? {} : { at });
    return world.upload(journal);
  };

  it('of a pack that nobody made', async () => {
    await expectBroken(await uploaded({ pack: 'bg_0123456789abcdefghj' }), /never made/);
    // It may be true for all that: somebody was in there, and it is reviewed.
    expect((await world.reviews()).some(({ use }) => use?.device === device.id)).toBe(true);
    expect((await world.store.read((tx) => tx.breakGlassEpoch('db-replica'))).taintedAt).not.toBeNull();
  });

  it("of another device's pack, which that device can still open honestly", async () => {
    const owner = await another();
    const theirs = (await world.pack(owner)).id;
    await expectBroken(await uploaded({ pack: theirs }), /of another device/);
    const honest = world.journal(owner);
    await honest.breakGlass({ pack: theirs, slot: world.slotNow });
    expect((await world.upload(honest)).result.broken).toBeNull();
  });

  it('of a slot that the pack has not got', async () => {
    await expectBroken(await uploaded({ slot: 77 }), /has none/);
  });

  it('of another resource than that of its pack', async () => {
    await expectBroken(await uploaded({ resource: 'canary' }), /not for/);
    expect((await world.store.read((tx) => tx.breakGlassEpoch('canary'))).taintedAt).toBeNull();
  });

  it('of a slot that was opened before, on the same page or an earlier one', async () => {
    await journal.breakGlass({ pack, slot: world.slotNow });
    await journal.open({ pack, slot: world.slotNow });
    await expectBroken(await world.upload(journal), /a second time/);
    expect((await world.reviews()).filter(({ use }) => use?.pack === pack)).toHaveLength(2);
    await close((await brokenReview())?.id, 'justified');
    await journal.open({ pack, slot: world.slotNow });
    await expectBroken(await world.upload(journal, journal.lines.slice(-1)), /a second time/);
  });

  it('by a clock that was set back to when the slot was good, or forward to when it will be', async () => {
    await expectBroken(await uploaded({ slot: 9 }), /its slot is good from/);
    await close((await brokenReview())?.id, 'justified');
    await journal.open({ pack, slot: 20 }, world.now() + 9 * HOUR + MINUTE);
    await expectBroken(await world.upload(journal, journal.lines.slice(-1)), /has not come yet/);
  });

  it('before what the journal, the last contact or a checkpoint has seen', async () => {
    const begun = async (begin: object) => {
      const later = world.journal(await another());
      const theirs = (await world.pack(later.device, { slots: [slotAt(-HOUR)] })).id;
      await later.write(
        { type: 'begin', checkpoint: null, contactAt: null, ...begin },
        { at: world.now() - HOUR },
      );
      await later.open({ pack: theirs, slot: 0 }, world.now() - HOUR);
      return (await world.upload(later)).result.broken;
    };
    const slotAt = (ms: number) => ({
      ...{ number: 0, serial: '1' },
      ...{ notBefore: world.now() + ms - MINUTE, notAfter: world.now() + ms + HOUR },
    });
    expect(await begun({})).toBeNull();
    expect(await begun({ contactAt: new Date(world.now() - MINUTE).toISOString() })).toMatch(
      /what came before/,
    );
    const { result } = await device.get<{ checkpoint: string }>('/v1/audit/checkpoint');
    expect(await begun({ checkpoint: result.checkpoint })).toMatch(/what came before/);

    const back = world.journal(await another());
    const theirs = (await world.pack(back.device, { slots: [slotAt(-HOUR)] })).id;
    await back.write({ type: 'begin', checkpoint: null, contactAt: null });
    await back.open({ pack: theirs, slot: 0 }, world.now() - HOUR);
    expect((await world.upload(back)).result.broken).toMatch(/what came before/);
  });

  it('that never was, of what is used all the same', async () => {
    await journal.write({ type: 'use', pack, slot: world.slotNow, tool: 'psql' });
    await expectBroken(await world.upload(journal), /was not opened/);
  });
});

describe('until somebody has decided', () => {
  const EndsAt = () => ({
    startsAt: world.now(),
    endsAt: world.now() + HOUR,
    hardEndsAt: world.now() + HOUR,
  });
  const material = {
    kind: 'postgres',
    verifier: `SCRAM-SHA-256$4096:${Buffer.alloc(16).toString('base64')}$${Buffer.alloc(32).toString('base64')}:${Buffer.alloc(32).toString('base64')}`,
  };

  async function granted(change: object, devices: readonly TestDevice[]) {
    const grant = sampleGrant({ user: 'dora', via: 'shift', ...EndsAt(), ...change });
    const live = devices.map(({ id }) =>
      sampleCredential({
        ...{ grantId: grant.id, deviceId: id, state: 'live', createdAt: world.now() },
        ...{ expiresAt: world.now() + HOUR, leaseUntil: world.now() },
      }),
    );
    await world.store.write(async (tx) => {
      await tx.insertGrant(grant, []);
      for (const credential of live) await tx.insertCredential(credential);
    });
    const stateOf = async () => ({
      grant: (await world.store.read((tx) => tx.grant(grant.id)))?.state,
      logins: await Promise.all(
        live.map(async ({ id }) => (await world.store.read((tx) => tx.credential(id)))?.state),
      ),
    });
    return { id: grant.id, stateOf };
  }

  const breakIt = async () => {
    await journal.write({ type: 'use', pack, slot: world.slotNow, tool: 'psql' });
    return world.upload(journal, journal.lines.slice(-1));
  };

  it('what opened by itself ends on that device, and nothing else does', async () => {
    const other = await another();
    const own = await granted({}, [device]);
    const shared = await granted({ role: 'write', via: 'alert' }, [device, other]);
    const ready = await granted({ state: 'ready' }, []);
    const asked = await granted({ via: 'policy', role: 'admin' }, [device]);
    await breakIt();
    expect((await own.stateOf()).grant).toBe('ended');
    const left = await shared.stateOf();
    expect([left.grant, left.logins[0] !== 'live', left.logins[1]]).toEqual(['active', true, 'live']);
    expect((await ready.stateOf()).grant).toBe('ready');
    expect(await asked.stateOf()).toEqual({ grant: 'active', logins: ['live'] });
    expect(await world.store.read((tx) => tx.device(device.id))).toMatchObject({ state: 'active' });
  });

  it('nothing opens for it by itself; closing the review ends that, but for misuse', async () => {
    const other = await another();
    const ready = await granted({ state: 'ready' }, []);
    const issue = async (by: TestDevice) =>
      (await by.post(`/v1/grants/${ready.id}/credentials`, { material })).error;
    await breakIt();
    const refusal = await issue(device);
    expect([refusal?.code, refusal?.hint]).toEqual(['denied', expect.stringContaining('journal')]);
    expect((await issue(other))?.hint ?? '').not.toContain('journal');
    // Its window has begun on the other device.
    expect((await issue(device))?.hint).toContain('journal');

    await close((await brokenReview())?.id, 'misuse');
    expect((await issue(device))?.hint).toContain('journal');
    expect(await alarmOf()).toBeDefined();

    await breakIt();
    await close((await brokenReview())?.id, 'justified');
    expect((await issue(device))?.hint ?? '').not.toContain('journal');
    expect([
      await alarmOf(),
      (await device.get<{ broken: null }>('/v1/break-glass/journal')).result.broken,
    ]).toEqual([undefined, null]);
  });

  it('each new break is told of; its own person cannot close the review; locking the device settles it', async () => {
    await breakIt();
    const review = await brokenReview();
    const told = async () =>
      (await world.store.read((tx) => tx.notices({ subject: `journal/${device.id}/dora`, limit: 99 })))
        .length;
    expect(await told()).toBe(1);
    world.pass(1000);
    await breakIt();
    expect([await told(), (await brokenReview())?.id]).toEqual([2, review?.id]);
    const own = await world.dora.post(`/v1/reviews/${review?.id}/close`, {
      outcome: 'justified',
      note: 'me',
    });
    expect(own.error?.code).toBe('forbidden');
    const metrics = async () => (await fetch(`${world.installation.url}/metrics`)).text();
    expect(await metrics()).toMatch(/oncall_journals_broken [1-9]/);
    expect((await world.dora.post(`/v1/devices/${device.id}/revoke`)).status).toBe(200);
    expect(await alarmOf()).toBeUndefined();
    expect(await told()).toBe(3);
  });
});

it('the log of all that verifies without the broker, and an altered line in it does not', async () => {
  const { lines, pins } = await world.exported();
  const problemsOf = async (changed: readonly string[]) =>
    (await verifyExport(Readable.from(changed), pins)).problems;
  expect(await problemsOf(lines)).toEqual([]);

  const at = lines.findIndex((line) => line.includes('"event":"journal.open"'));
  const { entry } = JSON.parse(lines[at]!) as { entry: AuditEntry };
  const { line } = entry.data as { line: string };
  const altered = {
    ...entry,
    data: { ...(entry.data as object), line: line.replace('"slot":2', '"slot":3') },
  };
  const bytes = encodeEntry(altered);
  const hash = Buffer.from(leafHash(bytes)).toString('base64url');
  const forged = `{"entry":${Buffer.from(bytes)},"leafHash":"${hash}"}`;
  const found = await problemsOf(lines.toSpliced(at, 1, forged));
  expect(found[0]).toMatchObject({ index: entry.index, kind: 'bad-signature' });
});
