// Reconciling with honest devices: what goes into the log, what follows from it, and that nothing else is served before.
import { beforeAll, expect, it } from 'vitest';
import { hashOfLine } from '../../src/audit/journal-line.ts';
import type { Notice } from '../../src/notify/notice.ts';
import type { BreakGlassStates, ResourceList, ReviewView, StatusReply } from '../../src/protocol/messages.ts';
import { enrolled, send } from '../support/device.ts';
import type { TestJournal } from '../support/journal.ts';
import { JournalWorld, MINUTE } from './journal-world.ts';

let world: JournalWorld;

beforeAll(async () => {
  world = await JournalWorld.start();
});

const enrolAnother = (user: string) =>
  enrolled(world.installation, user, () => Math.floor(world.now() / 1000));

/** Ana's journal where the log has it to. */
async function continued(seq: number): Promise<TestJournal> {
  const journal = world.journal();
  for (let number = 1; number <= seq; number++) {
    const [row] = await world.store.read((tx) =>
      tx.auditSearch({ subject: `${world.ana.id}/${number}`, limit: 1 }),
    );
    journal.lines.push(lineOf(row!));
  }
  journal.head = { seq, hash: hashOfLine(journal.lines.at(-1)!) };
  return journal;
}

const lineOf = ({ entry }: { entry: string }) => JSON.parse(entry).data.line as string;

it('takes a journal into the log line by line, opens a review of the use, and tells of it', async () => {
  const pack = await world.pack();
  const journal = world.journal();
  await journal.breakGlass({
    pack: pack.id,
    slot: world.slotNow,
    reason: 'orders are down',
    incident: 'P1-1',
  });
  const { result, audit } = await world.upload(journal);
  expect(result).toEqual({ ...journal.head, broken: null, reviews: [expect.any(String)] });
  expect(audit).toBeDefined();
  const kept = (
    await Promise.all(
      ['begin', 'outage', 'open', 'use', 'close'].map((type) => world.entries(`journal.${type}`)),
    )
  ).flat();
  expect(kept.map(lineOf)).toEqual(journal.lines);

  const [review] = (await world.reviews()).filter(({ id }) => id === result.reviews[0]);
  expect(review).toMatchObject({
    kind: 'break-glass',
    user: 'ana',
    requestId: null,
    state: 'open',
    owners: ['carla'],
  });
  expect(review?.use).toMatchObject({
    ...{ pack: pack.id, slot: world.slotNow, resource: 'db-replica', role: 'read', device: world.ana.id },
    ...{ reason: 'orders are down', incident: 'P1-1', drill: false, tools: ['psql'], notes: [], seq: 3 },
  });
  const notices = await world.store.read((tx) => tx.notices({ subject: review!.id, limit: 9 }));
  const notice = notices[0]?.notice as unknown as Notice;
  expect(notice).toMatchObject({ kind: 'break-glass', who: 'ana', why: 'orders are down' });
  expect(notice.to.map(({ user }) => user)).toEqual(['ben', 'carla']);
  const use = await world.store.read((tx) => tx.packUse(pack.id, world.slotNow));
  expect(use).toMatchObject({ deviceId: world.ana.id, reviewId: review?.id, seq: 3, drill: 0 });
  expect(await world.alarms()).toEqual([]);
});

it('shows one review to whom it concerns, and to nobody else', async () => {
  const [{ id } = { id: '' }] = await world.reviews();
  const seenBy = async (device: typeof world.ana) =>
    (await device.get<ReviewView>(`/v1/reviews/${id}`)).status;
  expect([await seenBy(world.carla), await seenBy(world.ana), await seenBy(world.dora)]).toEqual([
    200, 200, 200,
  ]);
  expect([await seenBy(world.ben), (await world.carla.get('/v1/reviews/rev_none')).status]).toEqual([
    404, 404,
  ]);
});

it('serves nothing to a device whose journal is not known to its end, and the journal', async () => {
  const journal = world.journal(world.ben);
  const pack = await world.pack(world.ben);
  await journal.breakGlass({ pack: pack.id, slot: world.slotNow });
  for (const path of ['/v1/me', '/v1/status', '/v1/resources', '/v1/break-glass/resources']) {
    const { error } = await world.asWritten(world.ben, 5, path);
    expect(error?.code).toBe('conflict');
    expect(error?.details).toEqual({ journal: { seq: 0, hash: expect.any(String) } });
  }
  const headers = { 'oncall-journal-seq': '5' };
  const declare = { id: 'P1-late', service: 'orders', priority: 'P1' };
  const mutation = await world.ben.post('/v1/incidents', declare, { headers });
  expect(mutation.error?.code).toBe('conflict');
  expect(await world.store.read((tx) => tx.incident('P1-late'))).toBeUndefined();
  const known = await world.ben.get('/v1/break-glass/journal', { headers });
  expect([known.status, (known.result as { seq: number }).seq]).toEqual([200, 0]);

  await world.upload(journal, journal.lines.slice(0, 3));
  expect((await world.asWritten(world.ben, 5)).error?.details).toMatchObject({ journal: { seq: 3 } });
  await world.upload(journal, journal.lines.slice(3));
  expect((await world.asWritten(world.ben, 5)).status).toBe(200);
  expect((await world.asWritten(world.ben, 4)).status).toBe(200);
  expect((await world.ben.get('/v1/me', { headers: { 'oncall-journal-seq': '-1' } })).error?.code).toBe(
    'invalid_request',
  );
});

it('refuses a request whose number was lowered, or left out, on its way', async () => {
  const headers = { 'oncall-journal-seq': '99' };
  const tampered = async (change: (all: Record<string, string>) => void) =>
    (await world.ben.get('/v1/me', { headers, tamper: (sent) => change(sent.headers) })).error?.code;
  expect(
    await tampered((all) => {
      all['oncall-journal-seq'] = '5';
    }),
  ).toBe('unauthenticated');
  expect(
    await tampered((all) => {
      delete all['oncall-journal-seq'];
    }),
  ).toBe('unauthenticated');
});

it('does once what it is sent twice, and goes on after an interruption between and within pages', async () => {
  const pack = await world.pack(world.anaAgain);
  const journal = world.journal(world.anaAgain);
  await journal.breakGlass({ pack: pack.id, slot: world.slotNow });
  await journal.breakGlass({ pack: pack.id, slot: world.slotNow - 1 }, { at: world.now() + 2 * MINUTE });
  const [first, second] = [journal.lines.slice(0, 5), journal.lines.slice(5)];
  const count = async () => world.store.read((tx) => tx.auditSize());

  await world.upload(journal, first);
  const after = await count();
  const again = await world.upload(journal, first);
  expect(again.result).toMatchObject({ seq: 5, broken: null });
  expect(again.audit).toBeDefined();
  expect(await count()).toBe(after);

  world.at = (point) => {
    if (point === 'before commit journal.use') throw new Error('killed');
  };
  expect((await world.upload(journal, second)).status).toBe(500);
  expect(await count()).toBe(after);
  world.at = (point) => {
    if (point === 'after commit journal.use') throw new Error('killed');
  };
  expect((await world.upload(journal, second)).status).toBe(500);
  world.at = () => undefined;
  const { result } = await world.upload(journal, journal.lines.slice(3));
  expect(result).toMatchObject({ ...journal.head, broken: null });
  expect(result.reviews).toHaveLength(2);
  const uses = await world.entries('journal.use', world.anaAgain.id);
  expect(uses).toHaveLength(2);
  expect((await world.reviews()).filter(({ use }) => use?.device === world.anaAgain.id)).toHaveLength(2);
  expect(await world.alarms()).toEqual([]);
});

it('takes what two devices of one person tell as two journals', async () => {
  const seqs = await Promise.all(
    [world.ana, world.anaAgain].map(async (device) => {
      const { result } = await device.get<{ seq: number; reviews: string[] }>('/v1/break-glass/journal');
      return [result.seq, result.reviews.length];
    }),
  );
  expect(seqs).toEqual([
    [5, 1],
    [10, 2],
  ]);
});

it('lets a device that was revoked hand in its journal, and nothing else', async () => {
  const carla = world.carla;
  const device = await enrolAnother('ben');
  const pack = await world.pack(device);
  const journal = world.journal(device);
  await journal.breakGlass({ pack: pack.id, slot: world.slotNow });
  expect((await world.ben.post(`/v1/devices/${device.id}/revoke`)).status).toBe(200);
  for (const path of ['/v1/me', '/v1/status', '/v1/break-glass/resources', '/v1/reviews'])
    expect((await device.get(path)).error?.code).toBe('unauthenticated');
  expect(
    (await device.post('/v1/incidents', { id: 'P1-9', service: 'orders', priority: 'P1' })).error?.code,
  ).toBe('unauthenticated');
  const { result } = await world.upload(journal);
  expect(result).toMatchObject({ ...journal.head, broken: null });
  expect((await device.get('/v1/break-glass/journal')).result).toEqual(result);
  expect((await carla.get<ReviewView>(`/v1/reviews/${result.reviews[0]}`)).result.use?.device).toBe(
    device.id,
  );
  // A captured page is no page.
  const sent = await device.prepare('POST', '/v1/break-glass/journal', { lines: journal.lines });
  const twice = [await send(sent), await send(sent)];
  expect(twice.map(({ status }) => status)).toEqual([200, 401]);
});

it('notes what was so without anybody being at fault: a pack that had been revoked, an epoch that was over', async () => {
  const revokedAt = world.now() - 10 * MINUTE;
  const pack = await world.pack(world.ana, { state: 'revoked', revokedAt, epoch: 0 });
  await world.rotate('db-replica', revokedAt);
  const { result: before } = await world.ana.get<{ seq: number }>('/v1/break-glass/journal');
  const journal = await continued(before.seq);
  await journal.breakGlass({ pack: pack.id, slot: world.slotNow, outage: 400 });
  const { result } = await world.upload(journal, journal.lines.slice(before.seq));
  expect(result.broken).toBeNull();
  const review = (await world.reviews()).find(({ use }) => use?.pack === pack.id);
  expect(review?.use?.notes).toHaveLength(3);
});

it('keeps a resource tainted until it was rotated after that, and each review is closed', async () => {
  const state = async () => {
    const { result } = await world.carla.get<BreakGlassStates>('/v1/break-glass/resources');
    return result.resources.find(({ resource }) => resource === 'db-replica');
  };
  const shown = async () =>
    (await world.ana.get<ResourceList>('/v1/resources')).result.resources.find(
      ({ name }) => name === 'db-replica',
    )?.taintedAt;
  const warned = async () => (await world.carla.get<StatusReply>('/v1/status')).result.warnings.join();
  const metric = async () =>
    (await (await fetch(`${world.installation.url}/metrics`)).text()).includes(
      'oncall_break_glass_tainted_seconds{resource="db-replica"}',
    );
  expect((await state())?.reviews.length).toBeGreaterThan(3);
  expect([await shown(), await metric()]).toEqual([expect.any(String), true]);
  expect(await warned()).toContain('oncall break-glass rotate db-replica');
  expect((await world.ana.get<StatusReply>('/v1/status')).result.warnings.join()).not.toContain('tainted');
  expect((await world.ana.get('/v1/break-glass/resources')).error?.code).toBe('forbidden');
  expect((await world.dora.get('/v1/break-glass/resources')).status).toBe(200);

  world.pass(MINUTE);
  await world.rotate('db-replica');
  expect((await state())?.taintedAt).not.toBeNull();
  for (const { id } of await world.reviews())
    expect(
      (await world.carla.post(`/v1/reviews/${id}/close`, { outcome: 'justified', note: 'seen' })).status,
    ).toBe(200);
  expect(await state()).toMatchObject({ taintedAt: null, reviews: [], epoch: 3 });
  expect([await shown(), await metric()]).toEqual([null, false]);
  expect(await warned()).not.toContain('tainted');

  // The next one begins anew, however long ago the last rotation was.
  const device = await enrolAnother('ana');
  const pack = await world.pack(device);
  const journal = world.journal(device);
  await journal.breakGlass({ pack: pack.id, slot: world.slotNow });
  const { result } = await world.upload(journal);
  expect((await state())?.taintedAt).toBe(new Date(world.now()).toISOString());
  await world.carla.post(`/v1/reviews/${result.reviews[0]}/close`, { outcome: 'justified', note: 'seen' });
  expect((await state())?.taintedAt).not.toBeNull();
});

it('takes a drill for one where nothing is behind it, and for a use where something is', async () => {
  const device = await enrolAnother('ana');
  const journal = world.journal(device);
  const [harmless, real] = [await world.pack(device, { resource: 'canary' }), await world.pack(device)];
  await journal.breakGlass({ pack: harmless.id, slot: world.slotNow, resource: 'canary', drill: true });
  const login = { type: 'login', pack: harmless.id, slot: world.slotNow, tool: 'psql' } as const;
  // What was opened is nothing yet: the login counts, and the first one.
  await journal.write({ ...login, passed: true, tookMs: 1500 }, { at: world.now() + 70_000 });
  await journal.write({ ...login, passed: false, tookMs: 9 }, { at: world.now() + 80_000 });
  await journal.breakGlass(
    { pack: real.id, slot: world.slotNow, drill: true },
    { at: world.now() + 2 * MINUTE },
  );
  const { result } = await world.upload(journal);
  expect(result).toMatchObject({ broken: null, reviews: [expect.any(String)] });
  const [review] = (await world.reviews()).filter(({ id }) => id === result.reviews[0]);
  expect(review?.use).toMatchObject({ resource: 'db-replica', drill: true });
  expect((await world.store.read((tx) => tx.breakGlassEpoch('canary'))).taintedAt).toBeNull();
  const [drill, ...more] = await world.store.read((tx) => tx.drills('canary', 9));
  expect(drill).toMatchObject({
    user: 'ana',
    deviceId: device.id,
    role: 'read',
    path: 'offline',
    passed: 1,
    tookMs: 1500,
  });
  expect([more, await world.store.read((tx) => tx.drills('db-replica', 9))]).toEqual([[], []]);
  expect(await world.entries('drill.passed', device.id)).toHaveLength(1);
  const notices = await world.store.read((tx) => tx.notices({ subject: harmless.id, limit: 9 }));
  expect((notices[0]!.notice as unknown as Notice).title).toMatch(/^drill: /);
});

it('tells of thirty openings an hour, and of every one by a review', async () => {
  const device = await enrolAnother('ben');
  const pack = await world.pack(device, { slots: slotsNow(40) });
  const journal = world.journal(device);
  for (let slot = 0; slot < 35; slot++) await journal.open({ pack: pack.id, slot });
  expect((await world.upload(journal)).result.broken).toBeNull();
  const opened = (await world.reviews()).filter(({ use }) => use?.device === device.id);
  expect(opened).toHaveLength(35);
  const told = await Promise.all(
    opened.map(({ id }) => world.store.read((tx) => tx.notices({ subject: id, limit: 9 }))),
  );
  expect(told.flat()).toHaveLength(30);
});

it('takes no more of a device that was revoked than a journal may have', async () => {
  const device = await enrolAnother('ben');
  await world.ben.post(`/v1/devices/${device.id}/revoke`);
  const journal = world.journal(device);
  await journal.write({ type: 'begin', checkpoint: null, contactAt: null });
  await world.store.write(async (tx) => {
    const nowMs = await tx.now();
    for (let page = 0; page < 100; page++) await tx.countAttempt(`journal:${device.id}`, 60 * MINUTE, nowMs);
  });
  expect((await world.upload(journal)).error?.code).toBe('rate_limited');
  world.pass(61 * MINUTE);
  expect((await world.upload(journal)).result.seq).toBe(1);
});

it('costs the same for each page, however much was told before', async () => {
  const device = await enrolAnother('ana');
  const journal = world.journal(device);
  const before = world.costs.length;
  for (let page = 0; page < 4; page++) {
    const pack = await world.pack(device, { slots: slotsNow(4) });
    for (let slot = 0; slot < 4; slot++)
      await journal.breakGlass({ pack: pack.id, slot, resource: 'db-replica' });
    const { result } = await world.upload(journal, journal.lines.splice(0));
    expect(result).toMatchObject({ ...journal.head, broken: null });
  }
  const [, ...later] = world.costs.slice(before);
  expect(later).toHaveLength(3);
  expect(new Set(later).size).toBe(1);
});

const slotsNow = (count: number) =>
  Array.from({ length: count }, (_, number) => ({
    ...{ number, serial: String(number) },
    ...{ notBefore: world.now() - MINUTE, notAfter: world.now() + 60 * MINUTE },
  }));
