// The journals of devices within a log: what an export shows of them without a broker.
import { sign } from 'node:crypto';
import { expect, test } from 'vitest';
import type { AuditEntry } from '../../src/audit/entry.ts';
import type { JournalHead } from '../../src/audit/journal-line.ts';
import { verifyExport } from '../../src/audit/verify.ts';
import { createEntry, emptyHead } from '../../src/break-glass/journal-entry.ts';
import type { JournalEvent } from '../../src/break-glass/journal-event.ts';
import { alice, bob, ed25519, enrolled, type KeyPair, SampleLog, stream } from './sample-log.ts';

const keys = { alice: ed25519(), bob: ed25519() };
const begin = { type: 'begin', checkpoint: null, contactAt: null } as const;
const use = { type: 'use', pack: 'bg_01jzzzzzzzzzzzzzzz1', slot: 0, tool: 'psql' } as const;

class Writer {
  head: JournalHead;
  readonly device: string;
  readonly user: string;
  readonly key: KeyPair;

  constructor({ id, device }: { id: string; device?: string | undefined }, key: KeyPair) {
    [this.user, this.device, this.key] = [id, device ?? '', key];
    this.head = emptyHead(this.device);
  }

  /** The next entry, as the broker would log it. */
  async next(
    event: JournalEvent,
    change: object = {},
  ): Promise<Pick<AuditEntry, 'event' | 'actor' | 'data'>> {
    const { device, user } = this;
    const entry = { at: '2026-01-05T02:14:00.000Z', device, user, event };
    const raw = async (bytes: Uint8Array) => sign(null, bytes, this.key.privateKey);
    const { line, head } = await createEntry(this.head, entry, raw);
    this.head = head;
    return {
      event: `journal.${event.type}`,
      actor: { kind: 'user', id: user, device },
      data: { line, follows: true, findings: [], ...change },
    };
  }
}

async function startLog() {
  const log = new SampleLog();
  log.add(await enrolled(alice, keys.alice));
  log.add(await enrolled(bob, keys.bob));
  return { log, writers: { alice: new Writer(alice, keys.alice), bob: new Writer(bob, keys.bob) } };
}

async function problemsOf(log: SampleLog) {
  const { problems } = await verifyExport(stream(await log.lines()), log.pins);
  return problems.map(({ index, kind }) => ({ index, kind }));
}

test('two journals in one log hold', async () => {
  const { log, writers } = await startLog();
  for (const writer of [writers.alice, writers.bob, writers.alice, writers.bob])
    log.add(await writer.next(writer.head.seq === 0 ? begin : use));
  expect(await problemsOf(log)).toEqual([]);
});

test('an altered line shows, and so does what follows it, though the log was hashed and signed again', async () => {
  const { log, writers } = await startLog();
  log.add(await writers.alice.next(begin));
  const told = await writers.alice.next(use);
  const line = (told.data as { line: string }).line.replace('psql', 'scp');
  log.add({ ...told, data: { line, follows: true, findings: [] } });
  log.add(await writers.alice.next(use));
  expect(await problemsOf(log)).toEqual([
    { index: 3, kind: 'bad-signature' },
    { index: 4, kind: 'journal-gap' },
  ]);
});

test("another device's line, another kind of entry, no line, and a device that was never enrolled show", async () => {
  const { log, writers } = await startLog();
  const first = await writers.alice.next(begin);
  log.add({ ...first, actor: { kind: 'user', id: bob.id, device: bob.device } });
  log.add({ ...first, event: 'journal.outage' });
  log.add({ ...first, data: { follows: true, findings: [] } });
  log.add({ ...first, data: { line: '{"seq":1}', follows: true, findings: [] } });
  const stranger = new Writer({ id: 'mallory', device: 'dev_stranger' }, ed25519());
  log.add(await stranger.next(begin));
  const { seq } = writers.bob.head;
  const forger = new Writer(bob, keys.alice);
  log.add(await forger.next(begin));
  expect(seq).toBe(0);
  expect(await problemsOf(log)).toEqual(
    [2, 3, 4, 5, 6, 7].map((index) => ({ index, kind: 'bad-signature' })),
  );
});

test('an entry that the log left out shows, unless the log says that the journal broke there', async () => {
  const { log, writers } = await startLog();
  log.add(await writers.alice.next(begin));
  await writers.alice.next(use);
  log.add(await writers.alice.next(use));
  await writers.alice.next(use);
  log.add(await writers.alice.next(use, { follows: false, findings: ['entry 4 is missing before it'] }));
  log.add(await writers.alice.next(use));
  expect(await problemsOf(log)).toEqual([{ index: 3, kind: 'journal-gap' }]);
});

test('a journal goes on from where the log says that it was moved to', async () => {
  const { log, writers } = await startLog();
  log.add(await writers.alice.next(begin));
  const { head } = writers.alice;
  log.add(await writers.alice.next(use));
  const moved = (data: AuditEntry['data'], subject = { device: alice.device ?? '' }) => ({
    ...{ event: 'journal.rolled-back', actor: { kind: 'broker', id: 'broker' } as const },
    ...{ subject, data },
  });
  log.add(moved({ head: { ...head } }));
  writers.alice.head = head;
  log.add(await writers.alice.next(use));
  expect(await problemsOf(log)).toEqual([]);
  log.add(moved({ head: { seq: 1, hash: 'short' } }));
  expect(await problemsOf(log)).toEqual([{ index: 6, kind: 'bad-signature' }]);
});
