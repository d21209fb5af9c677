/**
 * Reconciling: a device hands in its journal, page by page, and all of it goes into the audit log, each entry with its line, so that
 * the device's signature can be checked again without the broker. One page is one transaction, and what is known is passed over:
 * wherever reconciling was interrupted, it goes on.
 */
import { breakGlassKeyId } from '../protocol/break-glass-names.ts';
import { AppError } from '../protocol/errors.ts';
import type { JournalReply } from '../protocol/messages.ts';
import type { AuditRow, DeviceRow, JournalRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import type { Alarms } from './alarms.ts';
import { type Actor, type AuditLog, BROKER, type EmbeddedRequest } from './audit-log.ts';
import { type Break, type JournalBreaks, settleJournal } from './journal-breaks.ts';
import { entryName, JournalPast } from './journal-past.ts';
import { headOf, type NewEntry, type ReadLine, readPage } from './journal-reading.ts';
import type { JournalUses } from './journal-uses.ts';
import { plainWords } from './plain-words.ts';
import { matterOf } from './review-matter.ts';

export interface Journals {
  take(tx: Tx, device: DeviceRow, lines: readonly string[]): Promise<{ ref: string; audit: AuditRow }>;
  view(tx: ReadTx, device: DeviceRow): Promise<JournalReply>;
  /**
   * At each request that says how far the journal is: throws `conflict` where that is further than is known here, with what is.
   * Where it is less, the journal was rolled back.
   */
  meet(tx: Tx, device: DeviceRow, said: SaidSeq): Promise<void>;
  /** Somebody locked the device: there is nothing left to decide. */
  deviceRevoked(tx: Tx, deviceId: string): Promise<void>;
}

export interface SaidSeq {
  readonly seq: number;
  /** When the device signed it, by the broker's clock as it knows it. */
  readonly signedAtMs: number;
  readonly embedded: EmbeddedRequest;
}

/** A request may have been signed before the device handed in what is known by now: no signature lives longer. */
const ON_ITS_WAY_MS = 60_000;
const MOST_REVIEWS = 100;
const HOUR_MS = 3_600_000;
/** Whoever has a device's key can write as much into its journal as they like; what the log takes of it has an end. */
const MOST_PAGES_AN_HOUR = { active: 1000, revoked: 100 };

export function createJournals(
  log: AuditLog,
  alarms: Alarms,
  breaks: JournalBreaks,
  uses: JournalUses,
): Journals {
  function recordEntry(tx: Tx, device: DeviceRow, { line, entry, follows, findings }: NewEntry) {
    return log.record(tx, {
      event: `journal.${entry.event.type}`,
      actor: actorOf(device),
      subject: {
        device: device.id,
        user: device.user,
        entry: entryName(device.id, entry.seq),
        ...aboutOf(device, entry),
      },
      data: { line, follows, findings: [...findings] },
    });
  }

  async function record(tx: Tx, device: DeviceRow, one: ReadLine): Promise<AuditRow | undefined> {
    const subject = { device: device.id, user: device.user };
    if (one.kind === 'new') return recordEntry(tx, device, one);
    if (one.kind === 'unreadable' && one.isNew)
      return log.record(tx, {
        event: 'journal.unreadable',
        actor: BROKER,
        subject: { ...subject, line: one.sha256 },
        data: { finding: one.finding },
      });
    if (one.kind === 'known' && one.moves)
      return log.record(tx, {
        event: 'journal.resumed',
        actor: BROKER,
        subject,
        data: { head: { ...one.head } },
      });
    return undefined;
  }

  /** Of a page that brought nothing new: what proves that it is known. */
  async function knownBy(tx: Tx, device: DeviceRow, read: readonly ReadLine[]): Promise<AuditRow> {
    const last = read.at(-1);
    const [row] =
      last?.kind === 'known'
        ? await new JournalPast(tx, device.id).rows(last.entry.seq)
        : await tx.auditSearch({ event: 'journal.unreadable', subject: device.id, limit: 1 });
    if (!row) throw new AppError('internal', 'a known line of a journal without its entry');
    return row;
  }

  return {
    async take(tx, device, lines) {
      await tx.lockTarget(device.id, 'journal', '');
      const pages = await tx.countAttempt(`journal:${device.id}`, HOUR_MS, await tx.now());
      if (pages > MOST_PAGES_AN_HOUR[device.state])
        throw new AppError('rate_limited', 'this device has handed in too many pages within the hour', {
          hint: 'what is missing goes up later',
        });
      const before = await tx.journal(device.id);
      const read = await readPage(tx, log, device, before, lines);
      const broken = breaksIn(read);
      const held = broken.length > 0 ? await breaks.hold(tx, device) : [];
      await uses.hold(tx, read);
      let audit: AuditRow | undefined;
      let row = before ?? newRow(device);
      for (const one of read) {
        const written = await record(tx, device, one);
        if (one.kind === 'new') await uses.follow(tx, device, one);
        if (one.kind === 'new' || (one.kind === 'known' && one.moves))
          row = { ...row, ...one.head, highest: Math.max(row.highest, one.head.seq) };
        audit = written ?? audit;
      }
      if (broken.length > 0) row = await breaks.mark(tx, device, row, broken, held);
      if (audit) await tx.putJournal({ ...row, reconciledAt: await tx.now() });
      return { ref: device.id, audit: audit ?? (await knownBy(tx, device, read)) };
    },

    async view(tx, device) {
      const row = await tx.journal(device.id);
      const open = await tx.reviews({ user: device.user, state: 'open', limit: MOST_REVIEWS });
      return {
        ...headOf(device.id, row),
        broken: row?.brokenAt == null ? null : row.why,
        reviews: open.filter(({ about }) => matterOf(about)?.device === device.id).map(({ id }) => id),
      };
    },

    async meet(tx, device, { seq, signedAtMs, embedded }) {
      const known = headOf(device.id, await tx.journal(device.id));
      if (seq > known.seq)
        throw new AppError('conflict', 'this device has a journal that the broker does not know yet', {
          hint: 'it goes up before anything else: try again',
          details: { journal: { ...known } },
        });
      if (seq === known.seq) return;
      await tx.lockTarget(device.id, 'journal', '');
      const row = await tx.journal(device.id);
      if (!row || seq >= row.seq || signedAtMs <= row.reconciledAt + ON_ITS_WAY_MS) return;
      await rollBack(tx, device, row, seq, embedded);
    },

    deviceRevoked: (tx, deviceId) => settleJournal(tx, alarms, deviceId, 'the device was revoked'),
  };

  /** From here on it is believed to be where it says: what it writes next follows that. */
  async function rollBack(
    tx: Tx,
    device: DeviceRow,
    row: JournalRow,
    seq: number,
    embedded: EmbeddedRequest,
  ): Promise<void> {
    const past = new JournalPast(tx, device.id);
    const head = await past.headAt(seq);
    const says = `is known, and the device has only ${seq}: its journal was rolled back, or deleted`;
    const held = await breaks.hold(tx, device);
    await log.record(tx, {
      event: 'journal.rolled-back',
      actor: actorOf(device),
      subject: { device: device.id, user: device.user },
      data: { head: { ...head }, known: { seq: row.seq, hash: row.hash } },
      embedded,
    });
    const broken = [{ seq: row.seq, says }];
    const marked = await breaks.mark(tx, device, { ...row, ...head }, broken, held);
    await tx.putJournal({ ...marked, reconciledAt: await tx.now() });
  }
}

function newRow({ id }: DeviceRow): JournalRow {
  return {
    deviceId: id,
    ...headOf(id, undefined),
    highest: 0,
    reconciledAt: 0,
    brokenAt: null,
    why: null,
    reviewId: null,
  };
}

function actorOf({ id, user }: DeviceRow): Actor {
  return { kind: 'user', id: user, device: id };
}

function breaksIn(read: readonly ReadLine[]): Break[] {
  return read.flatMap((one): Break[] => {
    if (one.kind === 'new') return one.findings.map((says) => ({ seq: one.entry.seq, says }));
    return one.kind === 'unreadable' && one.isNew ? [{ seq: null, says: one.finding }] : [];
  });
}

/** What an entry is found by, beside its device and number. */
function aboutOf({ user }: DeviceRow, { event }: NewEntry['entry']): Record<string, string> {
  if (event.type === 'begin' || event.type === 'outage') return {};
  const pack = plainWords(event.pack);
  return {
    pack,
    slot: `${pack}/${event.slot}`,
    handle: breakGlassKeyId({ user, pack, slot: event.slot }),
    ...(event.type === 'open' && { resource: plainWords(event.resource), role: plainWords(event.role) }),
  };
}
