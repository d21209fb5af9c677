/**
 * Whether what a journal says it opened is what this device had: a slot of a pack of its own, not opened before, at a time at which
 * its certificate was good. What does not fit is a finding, for a person to look at; what may be so without anybody's fault is a
 * note beside the use.
 */
import type { JournalEntry } from '../break-glass/journal-entry.ts';
import type { BeginEvent, OpenEvent } from '../break-glass/journal-event.ts';
import { formatInstant, parseInstant } from '../protocol/time.ts';
import type { DeviceRow, PackRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import type { JournalPast } from './journal-past.ts';
import { plainWords } from './plain-words.ts';

/** A slot as it was opened. */
export interface Opening {
  readonly event: OpenEvent;
  /** Undefined for one that this broker never made. */
  readonly pack: PackRow | undefined;
  /** It is this device's to open, and was opened for the first time: the slot is used up. */
  readonly isSound: boolean;
  readonly notes: readonly string[];
}

interface Slot {
  readonly number: number;
  readonly notBefore: number;
  readonly notAfter: number;
}

/** Clocks differ; a target lets nobody in by more than that. */
const TOLERANCE_MS = 5 * 60_000;

export class OpeningJudge {
  readonly #tx: ReadTx;
  readonly #log: Pick<AuditLog, 'timeOf'>;
  readonly #device: DeviceRow;
  readonly #past: JournalPast;
  /** Opened on this page. */
  readonly #opened = new Set<string>();

  constructor(tx: ReadTx, log: Pick<AuditLog, 'timeOf'>, device: DeviceRow, past: JournalPast) {
    this.#tx = tx;
    this.#log = log;
    this.#device = device;
    this.#past = past;
  }

  async judge(entry: JournalEntry, event: OpenEvent): Promise<{ opening: Opening; findings: string[] }> {
    const pack = await this.#tx.pack(event.pack);
    const wrong = await this.#wrongWith(event, pack);
    this.#opened.add(slotName(event));
    const findings = [...wrong, ...(await this.#timeOf(entry, event, pack))];
    return {
      opening: { event, pack, isSound: wrong.length === 0, notes: await this.#notes(entry, event, pack) },
      findings,
    };
  }

  /** What is used was opened before. */
  async isOpened(slot: { pack: string; slot: number }): Promise<boolean> {
    if (this.#opened.has(slotName(slot))) return true;
    return (await this.#tx.packUse(slot.pack, slot.slot))?.deviceId === this.#device.id;
  }

  async #wrongWith(event: OpenEvent, pack: PackRow | undefined): Promise<string[]> {
    const name = plainWords(event.pack);
    if (pack === undefined) return [`opens ${name}, which this broker never made`];
    if (pack.deviceId !== this.#device.id) return [`opens ${name}, the pack of another device`];
    if (slotIn(pack, event.slot) === undefined)
      return [`opens slot ${event.slot} of ${name}, which has none`];
    if (pack.resource !== event.resource || pack.role !== event.role)
      return [`opens ${name} for ${plainWords(`${event.resource}:${event.role}`)}, which it is not for`];
    const isUsed =
      this.#opened.has(slotName(event)) || (await this.#tx.packUse(event.pack, event.slot)) !== undefined;
    return isUsed ? [`opens slot ${event.slot} of ${name} a second time`] : [];
  }

  /** A clock that was set back makes an old certificate look good. */
  async #timeOf(entry: JournalEntry, event: OpenEvent, pack: PackRow | undefined): Promise<string[]> {
    const atMs = parseInstant(entry.at);
    const slot = pack && slotIn(pack, event.slot);
    const isOutside = slot && (atMs < slot.notBefore - TOLERANCE_MS || atMs > slot.notAfter + TOLERANCE_MS);
    const earliestMs = await this.#earliest(entry);
    return [
      ...(isOutside
        ? [
            `was written at ${entry.at}, and its slot is good from ${formatInstant(slot.notBefore)} to ${formatInstant(slot.notAfter)}`,
          ]
        : []),
      ...(atMs < earliestMs - TOLERANCE_MS
        ? [`was written at ${entry.at}, and what came before it is of ${formatInstant(earliestMs)}`]
        : []),
      ...(atMs > (await this.#tx.now()) + TOLERANCE_MS
        ? [`was written at ${entry.at}, which has not come yet`]
        : []),
    ];
  }

  /** Milliseconds; by the entry before, the last contact with a broker, and the newest checkpoint that the device had seen. */
  async #earliest({ seq }: JournalEntry): Promise<number> {
    const before = await this.#past.entry(seq - 1);
    const { checkpoint, contactAt } = await this.#begin();
    const seenMs = checkpoint === null ? undefined : await this.#log.timeOf(this.#tx, checkpoint);
    return Math.max(
      before ? parseInstant(before.at) : 0,
      contactAt === null ? 0 : parseInstant(contactAt),
      seenMs ?? 0,
    );
  }

  async #begin(): Promise<Pick<BeginEvent, 'checkpoint' | 'contactAt'>> {
    const event = (await this.#past.begin())?.event;
    return event?.type === 'begin' ? event : { checkpoint: null, contactAt: null };
  }

  async #notes(entry: JournalEntry, event: OpenEvent, pack: PackRow | undefined): Promise<string[]> {
    const notes: string[] = [];
    const atMs = parseInstant(entry.at);
    if (pack?.state === 'revoked' && (pack.revokedAt ?? 0) < atMs)
      notes.push(`the pack had been revoked at ${formatInstant(pack.revokedAt ?? 0)}`);
    if (pack !== undefined) {
      const { epoch, rotatedAt } = await this.#tx.breakGlassEpoch(pack.resource);
      if (pack.epoch < epoch && rotatedAt !== null && rotatedAt < atMs)
        notes.push(`the pack is of epoch ${pack.epoch}, which was over at ${formatInstant(rotatedAt)}`);
    }
    const outage = event.outage < entry.seq ? await this.#past.entry(event.outage) : undefined;
    if (outage?.event.type !== 'outage') notes.push('the journal tells of no outage before it');
    const { checkpoint } = await this.#begin();
    // Or this broker was set back.
    if (checkpoint !== null && (await this.#log.timeOf(this.#tx, checkpoint)) === undefined)
      notes.push('the device had seen a checkpoint that this log does not know');
    return notes;
  }
}

function slotName({ pack, slot }: { pack: string; slot: number }): string {
  return `${pack}/${slot}`;
}

function slotIn(pack: PackRow, number: number): Slot | undefined {
  return (pack.slots as unknown as Slot[]).find((slot) => slot.number === number);
}
