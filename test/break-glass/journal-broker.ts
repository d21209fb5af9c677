// The broker's half of the journal, strictly: each entry has to follow what it has, line by line, and is kept once.

import {
  emptyHead,
  type JournalEntry,
  type JournalHead,
  parseEntry,
  verifyEntry,
} from '../../src/break-glass/journal-entry.ts';
import { isAppError } from '../../src/protocol/errors.ts';
import type { JournalReply } from '../../src/protocol/messages.ts';
import { type Asked, Refused, type TestBroker } from '../client/test-broker.ts';

export interface JournalAtBroker {
  head: JournalHead;
  lines: string[];
  entries(): JournalEntry[];
  /** What it finds wrong, and says from then on. */
  broken: string | null;
  /** How many more pages it takes before the connection breaks. */
  pagesLeft: number;
}

/** Serves the journal of one device; `publicKey` in text form. */
export function serveJournal(broker: TestBroker, id: string, publicKey: string): JournalAtBroker {
  const state: JournalAtBroker = {
    head: emptyHead(id),
    lines: [],
    entries: () => state.lines.map(parseEntry),
    broken: null,
    pagesLeft: Number.POSITIVE_INFINITY,
  };
  const reply = (): JournalReply => ({ ...state.head, broken: state.broken, reviews: [] });
  broker.routes.set('GET /v1/break-glass/journal', reply);
  broker.routes.set('POST /v1/break-glass/journal', ({ body }) => {
    if (state.pagesLeft <= 0) return new Refused({ status: 500, code: 'internal' });
    state.pagesLeft -= 1;
    for (const line of (body as { lines: string[] }).lines) {
      const isKnown = state.lines.includes(line);
      if (isKnown) continue;
      try {
        const { head } = verifyEntry(line, state.head, { id, publicKey });
        state.head = head;
        state.lines.push(line);
      } catch (error) {
        if (!isAppError(error)) throw error;
        state.broken = `${error.code}: ${error.message}`;
        break;
      }
    }
    return reply();
  });
  return state;
}

/** Refuses what a device asks before it has told all that it says it has written. */
export function refuseUntold(state: JournalAtBroker, answer: (asked: Asked) => unknown) {
  return (asked: Asked) => {
    const said = Number(asked.headers['oncall-journal-seq'] ?? 0);
    if (said <= state.head.seq) return answer(asked);
    const { seq, hash } = state.head;
    return new Refused({ status: 409, code: 'conflict', details: { journal: { seq, hash } } });
  };
}
