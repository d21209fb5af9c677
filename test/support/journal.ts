// The journal of a device as its own code would write it, and as somebody would who means to deceive.
import { sign } from 'node:crypto';
import { createEntry, emptyHead, type JournalHead } from '../../src/break-glass/journal-entry.ts';
import type { JournalEvent } from '../../src/break-glass/journal-event.ts';
import { formatInstant } from '../../src/protocol/time.ts';
import type { TestDevice } from './device.ts';

export interface Opens {
  pack: string;
  slot?: number;
  resource?: string;
  role?: string;
  reason?: string;
  incident?: string | null;
  drill?: boolean;
  outage?: number;
}

export class TestJournal {
  readonly device: TestDevice;
  readonly now: () => number;
  head: JournalHead;
  lines: string[] = [];

  constructor(device: TestDevice, now: () => number) {
    this.device = device;
    this.now = now;
    this.head = emptyHead(device.id);
  }

  async write(event: JournalEvent, { at = this.now(), user = this.device.user } = {}): Promise<string> {
    const raw = async (bytes: Uint8Array) => sign(null, bytes, this.device.keys.privateKey);
    const entry = { at: formatInstant(at), device: this.device.id, user, event };
    const { line, head } = await createEntry(this.head, entry, raw);
    this.head = head;
    this.lines.push(line);
    return line;
  }

  /** What one offline opening writes: where it begins, the outage, the opening, its use and its end. */
  async breakGlass(
    opens: Opens,
    { tool = 'psql', at = this.now(), checkpoint = null as string | null } = {},
  ) {
    await this.write({ type: 'begin', checkpoint, contactAt: null }, { at });
    await this.write(
      { type: 'outage', probes: [{ endpoint: 'https://broker', tookMs: 900, outcome: 'no answer' }] },
      { at: at + 1000 },
    );
    await this.open({ outage: this.head.seq, ...opens }, at + 1100);
    const slot = { pack: opens.pack, slot: opens.slot ?? 0 };
    await this.write({ type: 'use', ...slot, tool }, { at: at + 1600 });
    await this.write({ type: 'close', ...slot, cause: 'released' }, { at: at + 60_000 });
  }

  open(opens: Opens, at = this.now()): Promise<string> {
    const { pack, slot = 0, resource = 'db-replica', role = 'read', ...rest } = opens;
    const { reason = 'the broker is away', incident = null, drill = false, outage = 2 } = rest;
    return this.write({ type: 'open', pack, slot, resource, role, reason, incident, outage, drill }, { at });
  }

  /** A copy to write on from, as after a backup was put back. */
  copy(): TestJournal {
    const copy = new TestJournal(this.device, this.now);
    copy.head = this.head;
    copy.lines = [...this.lines];
    return copy;
  }
}
