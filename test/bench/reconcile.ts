// Whether reconciling stays linear: a journal of 10⁴ entries beside one of 10³, by the broker's own way from a page to the commit.
import { generateKeyPairSync, sign } from 'node:crypto';
import { join } from 'node:path';
import { createEntry, emptyHead, MAX_PAGE_LINES } from '../../src/break-glass/journal-entry.ts';
import type { JournalEvent } from '../../src/break-glass/journal-event.ts';
import { createAlarms } from '../../src/broker/alarms.ts';
import { createAuditLog } from '../../src/broker/audit-log.ts';
import { createEndings } from '../../src/broker/endings.ts';
import { createJournalBreaks } from '../../src/broker/journal-breaks.ts';
import { createJournalUses } from '../../src/broker/journal-uses.ts';
import { createJournals, type Journals } from '../../src/broker/journals.ts';
import type { SigningKey } from '../../src/broker/keys.ts';
import { createOutbox } from '../../src/broker/outbox.ts';
import { createReviews } from '../../src/broker/reviews.ts';
import type { Rules } from '../../src/broker/rules.ts';
import { createShiftBook } from '../../src/broker/shift-book.ts';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import { loadPolicy } from '../../src/policy/load.ts';
import { STARTER_POLICY } from '../../src/policy/starter.ts';
import { createId } from '../../src/protocol/ids.ts';
import { formatPublicKey, keyThumbprint, rawPublicKey } from '../../src/protocol/keys.ts';
import { formatInstant } from '../../src/protocol/time.ts';
import type { DeviceRow } from '../../src/store/rows.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { makeFolder } from './cleanup.ts';
import type { Section } from './report.ts';
import { scaledCatalogue } from './scaled-catalogue.ts';
import { median } from './statistics.ts';

const SMALL = 1_000;
const LARGE = 10_000;
/** Small journals are done in a moment: several, of which the first warms up. */
const SMALL_RUNS = 4;
/** More than this is not the same cost per entry any more. */
const LINEAR = 1.5;
const SLOTS = 24;
/** Of one opening: begin, outage, open, use, close. */
const ENTRIES_OF_ONE = 5;
const USER = 'person-0';

export async function measureReconciling(): Promise<Section> {
  const small: number[] = [];
  for (let run = 0; run < SMALL_RUNS; run += 1) small.push(median(await reconcile(SMALL)));
  const few = median(small.slice(1));
  const pages = await reconcile(LARGE);
  const tenth = Math.ceil(pages.length / 10);
  const [first, last] = [median(pages.slice(0, tenth)), median(pages.slice(-tenth))];
  return {
    title: 'break-glass: reconciling a journal',
    rows: [
      { name: 'a journal of 10³ entries', value: few * 1000, unit: 'µs', note: 'an entry' },
      {
        name: 'a journal of 10⁴ entries',
        value: median(pages) * 1000,
        unit: 'µs',
        ratio: { value: median(pages) / few, to: 'an entry of 10³', target: LINEAR },
        note: 'an entry',
      },
      {
        name: 'its last tenth',
        value: last * 1000,
        unit: 'µs',
        ratio: { value: last / first, to: 'an entry of its first tenth' },
        note: 'an entry',
      },
    ],
    notes: [
      `pages of ${MAX_PAGE_LINES} lines on SQLite, each one transaction: signature, chain, slot, audit entry`,
      'every fifth entry opens a slot: its review is in it, and none is closed in between',
    ],
  };
}

/** Milliseconds an entry, page by page. */
async function reconcile(entries: number): Promise<number[]> {
  const store = await openSqliteStore({
    file: join(makeFolder('reconcile'), 'oncall.db'),
    now: Date.now,
  });
  try {
    await store.migrate();
    const journals = createBrokerPart(store);
    const { device, privateKey } = createDevice();
    await store.write((tx) => tx.insertDevice(device));
    const lines = await writeJournal(store, device, entries, (bytes) => sign(null, bytes, privateKey));
    const times: number[] = [];
    for (let from = 0; from < lines.length; from += MAX_PAGE_LINES) {
      const page = lines.slice(from, from + MAX_PAGE_LINES);
      const started = performance.now();
      await store.write((tx) => journals.take(tx, device, page));
      const { broken } = await store.read((tx) => journals.view(tx, device));
      times.push((performance.now() - started) / page.length);
      if (broken !== null) throw new Error(`the journal of the bench is broken: ${broken}`);
    }
    return times;
  } finally {
    await store.close();
  }
}

function createBrokerPart(store: Store): Journals {
  const loaded = loadRules();
  const rules = () => loaded;
  const keys = { identity: createKey(), log: createKey() };
  const log = createAuditLog(store, keys, 'bench.example.com/oncall');
  const outbox = createOutbox(store, rules, () => Promise.reject(new Error('nothing is sent here')));
  const alarms = createAlarms(rules, log, outbox);
  const reviews = createReviews(rules, log, outbox, alarms);
  const endings = createEndings(store, new Map(), log);
  return createJournals(
    log,
    alarms,
    createJournalBreaks(alarms, reviews, endings),
    createJournalUses(rules, log, reviews, outbox),
  );
}

function loadRules(): Rules {
  const text = scaledCatalogue({ people: 10, schedules: 10, resources: 10 });
  const { catalogue } = parseCatalogue(text, 'catalogue.yaml', '/');
  const policy = catalogue && loadPolicy([{ file: 'starter.cedar', text: STARTER_POLICY }], catalogue).policy;
  if (!catalogue || !policy) throw new Error('the rules of the bench do not load');
  return { catalogue, policy, shifts: createShiftBook(catalogue) };
}

function createKey(): SigningKey {
  const { privateKey } = generateKeyPairSync('ed25519');
  const publicKey = formatPublicKey(privateKey);
  return {
    privateKey,
    publicKey,
    rawPublicKey: rawPublicKey(publicKey),
    sign: (message) => sign(null, message, privateKey),
  };
}

function createDevice() {
  const { privateKey } = generateKeyPairSync('ed25519');
  const signingKey = formatPublicKey(privateKey);
  const device: DeviceRow = {
    id: createId('dev', Date.now()),
    user: USER,
    name: 'bench',
    keyId: keyThumbprint(signingKey),
    signingKey,
    sealingKey: 'x25519:none',
    keystore: 'file',
    state: 'active',
    createdAt: Date.now(),
    revokedAt: null,
    lastSeenAt: null,
  };
  return { device, privateKey };
}

async function writeJournal(
  store: Store,
  device: DeviceRow,
  entries: number,
  signBytes: (bytes: Uint8Array) => Uint8Array,
): Promise<string[]> {
  const at = formatInstant(Date.now());
  const lines: string[] = [];
  let head = emptyHead(device.id);
  const write = async (event: JournalEvent) => {
    const made = await createEntry(head, { at, device: device.id, user: device.user, event }, async (bytes) =>
      signBytes(bytes),
    );
    head = made.head;
    lines.push(made.line);
  };
  let pack = '';
  for (let opening = 0; lines.length < entries; opening += 1) {
    const slot = opening % SLOTS;
    if (slot === 0) pack = await insertPack(store, device);
    await write({ type: 'begin', checkpoint: null, contactAt: null });
    await write({
      type: 'outage',
      probes: [{ endpoint: 'https://bench.example.com', tookMs: 900, outcome: 'no answer' }],
    });
    const opened = {
      resource: 'host-1',
      role: 'operator',
      reason: 'the bench',
      incident: null,
      drill: false,
    };
    await write({ type: 'open', pack, slot, ...opened, outage: lines.length });
    await write({ type: 'use', pack, slot, tool: 'ssh' });
    await write({ type: 'close', pack, slot, cause: 'released' });
  }
  if (entries % ENTRIES_OF_ONE !== 0) throw new Error('the bench writes whole openings');
  return lines;
}

async function insertPack(store: Store, device: DeviceRow): Promise<string> {
  const nowMs = Date.now();
  const [startsAt, endsAt] = [nowMs - 3_600_000, nowMs + 3_600_000];
  const id = createId('bg', nowMs);
  const slots = Array.from({ length: SLOTS }, (_, number) => ({
    ...{ number, serial: String(number) },
    ...{ notBefore: startsAt, notAfter: endsAt },
  }));
  await store.write((tx) =>
    tx.insertPack({
      ...{ id, user: device.user, deviceId: device.id, resource: 'host-1', role: 'operator', kind: 'ssh' },
      ...{ epoch: 1, slots, issuedAt: startsAt, startsAt, endsAt, confirmedAt: startsAt },
      ...{ state: 'active', revokedAt: null },
    }),
  );
  return id;
}
