/** What a journal tells: each kind with what belongs to it. Words in it are a person's or the network's: escape before showing. */
import { hasExactly, isInstant, isRecord, isText, isWhole } from '../audit/json-shape.ts';
import { AppError } from '../protocol/errors.ts';

export type JournalEvent = BeginEvent | OutageEvent | OpenEvent | UseEvent | LoginEvent | CloseEvent;

/** The first word of a run of entries: what this device has seen of the broker's log before the broker was away. */
export interface BeginEvent {
  readonly type: 'begin';
  /** The newest checkpoint, as its signed note; null where none was ever seen. */
  readonly checkpoint: string | null;
  /** When the broker last answered. */
  readonly contactAt: string | null;
}

/** Evidence that the broker did not decide. */
export interface OutageEvent {
  readonly type: 'outage';
  readonly probes: readonly {
    readonly endpoint: string;
    /** Milliseconds until there was an outcome. */
    readonly tookMs: number;
    /** In words: what came instead of a decision. */
    readonly outcome: string;
  }[];
}

/** Written and on the disk before anything is opened: one slot of one pack. */
export interface OpenEvent {
  readonly type: 'open';
  readonly pack: string;
  readonly slot: number;
  readonly resource: string;
  readonly role: string;
  readonly reason: string;
  readonly incident: string | null;
  /** The number of the `outage` entry that it rests on. */
  readonly outage: number;
  readonly drill: boolean;
}

/** What was opened is about to be handed to a tool. */
export interface UseEvent {
  readonly type: 'use';
  readonly pack: string;
  readonly slot: number;
  /** The program's name, without its arguments. */
  readonly tool: string;
}

/** How a drill's login went: from the command to the end of the tool. */
export interface LoginEvent {
  readonly type: 'login';
  readonly pack: string;
  readonly slot: number;
  readonly tool: string;
  readonly passed: boolean;
  readonly tookMs: number;
}

/** What was opened is gone from this device: given back, or its certificate has run out. */
export interface CloseEvent {
  readonly type: 'close';
  readonly pack: string;
  readonly slot: number;
  readonly cause: 'released' | 'expired' | 'reconciled' | 'failed';
}

const MOST_PROBES = 20;
const CLOSE_CAUSES = ['released', 'expired', 'reconciled', 'failed'];

/** Throws AppError `audit_invalid`. */
export function parseJournalEvent(value: unknown): JournalEvent {
  if (isRecord(value) && SHAPES[String(value.type)]?.(value) === true)
    return value as unknown as JournalEvent;
  throw new AppError('audit_invalid', 'not an event of a journal');
}

const SHAPES: Readonly<Record<string, (value: Record<string, unknown>) => boolean>> = {
  begin: (value) =>
    hasExactly(value, ['type', 'checkpoint', 'contactAt']) &&
    (value.checkpoint === null || isWords(value.checkpoint, 8000)) &&
    (value.contactAt === null || isInstant(value.contactAt)),
  outage: (value) =>
    hasExactly(value, ['type', 'probes']) &&
    Array.isArray(value.probes) &&
    value.probes.length <= MOST_PROBES &&
    value.probes.every(isProbe),
  open: (value) =>
    hasExactly(value, [
      ...['type', 'pack', 'slot', 'resource', 'role'],
      ...['reason', 'incident', 'outage', 'drill'],
    ]) &&
    isSlot(value) &&
    isWords(value.resource, 40) &&
    isWords(value.role, 40) &&
    isWords(value.reason, 500) &&
    (value.incident === null || isWords(value.incident, 128)) &&
    isWhole(value.outage) &&
    typeof value.drill === 'boolean',
  use: (value) =>
    hasExactly(value, ['type', 'pack', 'slot', 'tool']) && isSlot(value) && isWords(value.tool, 128),
  login: (value) =>
    hasExactly(value, ['type', 'pack', 'slot', 'tool', 'passed', 'tookMs']) &&
    isSlot(value) &&
    isWords(value.tool, 128) &&
    typeof value.passed === 'boolean' &&
    isWhole(value.tookMs),
  close: (value) =>
    hasExactly(value, ['type', 'pack', 'slot', 'cause']) &&
    isSlot(value) &&
    CLOSE_CAUSES.includes(String(value.cause)),
};

function isSlot({ pack, slot }: Record<string, unknown>): boolean {
  return isWords(pack, 32) && isWhole(slot);
}

function isProbe(value: unknown): boolean {
  return (
    isRecord(value) &&
    hasExactly(value, ['endpoint', 'tookMs', 'outcome']) &&
    isWords(value.endpoint, 256) &&
    isWhole(value.tookMs) &&
    isWords(value.outcome, 256)
  );
}

function isWords(value: unknown, most: number): boolean {
  return isText(value) && value.length <= most;
}
