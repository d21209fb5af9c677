import type { NoticeKind } from '../catalogue/types.ts';

/** One person that a notice is for. */
export interface Recipient {
  user: string;
  name: string;
  email: string | undefined;
  /** Outside ids, by source. */
  ids: Readonly<Record<string, string>>;
}

/** What is told: who, what, why, how long, by which rule, and the one command that answers it. Nothing in it is secret. */
export interface Notice {
  /** The same id twice is the same notice: receivers may drop the second. */
  id: string;
  kind: NoticeKind;
  /** Where several tell of one matter: its name, and whether it is over by now. */
  matter?: { id: string; isOver: boolean };
  /** RFC 3339 UTC. */
  at: string;
  to: readonly Recipient[];
  /** One line. */
  title: string;
  who: string;
  what: string;
  why: string;
  /** In words: `2h`, `until 2026-01-05T04:14:00Z`. */
  howLong: string;
  /** The rule that decided, or the stage that asks. */
  rule: string;
  /** What to type; empty where nothing is asked. */
  command: string;
}

/**
 * A way to tell people. `send` resolves when the receiver has taken the notice over; a notice that is sent again after a crash
 * carries the same id. Throws AppError `notice_failed`; `permanent` in its details where trying again is of no use.
 */
export interface NoticeChannel {
  readonly name: string;
  /** Whether a notice for this person can arrive: a shared channel reaches everybody, e-mail only those who have an address. */
  canReach(recipient: Recipient): boolean;
  send(notice: Notice, signal: AbortSignal): Promise<void>;
  close(): Promise<void>;
}
