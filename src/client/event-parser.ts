/**
 * Server-sent events (HTML Living Standard, section 9.2.6) as our broker writes them: bounded, and stricter than the standard.
 * What it does not expect ends the stream, which costs a reconnection; an event made up out of garbage would cost more.
 */
import type { EventView } from '../protocol/messages.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import { isRecord } from './answer.ts';

const MAX_LINE_BYTES = 16 * 1024;
const MAX_EVENT_BYTES = 32 * 1024;
const LF = 0x0a;
const POSITION = /^\d{1,15}$/;
const EVENT_NAME = /^[a-z][a-z0-9.-]{0,63}$/;

/** A comment, which says that somebody is there; a position to go on from, alone or after an event. */
export type Told =
  | { readonly kind: 'comment' }
  | { readonly kind: 'position'; readonly next: number }
  | ToldEvent;
export interface ToldEvent {
  readonly kind: 'event';
  readonly next: number;
  readonly view: EventView;
}

/** What came is no event stream of a broker. */
export class StreamBroken extends Error {
  override readonly name = 'StreamBroken';
}

export interface EventParser {
  /** What is complete with this chunk. Throws {@link StreamBroken}; what came before the fault in the same chunk is lost too, and told again. */
  push(chunk: Uint8Array): Told[];
}

export function createEventParser(): EventParser {
  let rest = Buffer.alloc(0);
  let fields = new Map<string, string>();
  let eventBytes = 0;

  function takeLine(bytes: Uint8Array): Told | undefined {
    const line = decode(bytes).replace(/\r$/, '');
    if (line === '') return endEvent();
    if (line.startsWith(':')) return { kind: 'comment' };
    eventBytes += bytes.length;
    if (eventBytes > MAX_EVENT_BYTES) throw new StreamBroken('an event is too large');
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    // The standard joins several; ours come alone, and a second one would change what the first said.
    if (fields.has(name)) throw new StreamBroken('a field comes twice in an event');
    fields.set(name, colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, ''));
    return undefined;
  }

  function endEvent(): Told | undefined {
    if (fields.size === 0) return undefined;
    const event = isPositionAlone(fields) ? readPosition(fields) : readEvent(fields);
    fields = new Map();
    eventBytes = 0;
    return event;
  }

  return {
    push(chunk) {
      const bytes = rest.length === 0 ? Buffer.from(chunk) : Buffer.concat([rest, chunk]);
      const told: Told[] = [];
      let from = 0;
      for (let end = bytes.indexOf(LF); end >= 0; end = bytes.indexOf(LF, from)) {
        if (end - from > MAX_LINE_BYTES) throw new StreamBroken('a line is too long');
        const item = takeLine(bytes.subarray(from, end));
        if (item !== undefined) told.push(item);
        from = end + 1;
      }
      rest = bytes.subarray(from);
      if (rest.length > MAX_LINE_BYTES) throw new StreamBroken('a line has no end');
      return told;
    },
  };
}

/** Without data there is no event, as the standard has it: a heartbeat, which tells how far the log is. */
function isPositionAlone(fields: ReadonlyMap<string, string>): boolean {
  return fields.has('id') && !fields.has('data') && !fields.has('event');
}

function readPosition(fields: ReadonlyMap<string, string>): Told {
  const id = fields.get('id') ?? '';
  if (!POSITION.test(id)) throw new StreamBroken('a position is none');
  return { kind: 'position', next: Number(id) };
}

/** Attacker-controlled. Fields that we do not know are somebody else's, as the standard has it. */
function readEvent(fields: ReadonlyMap<string, string>): ToldEvent {
  const [id = '', name = '', data = ''] = [fields.get('id'), fields.get('event'), fields.get('data')];
  const view = parse(data);
  if (!POSITION.test(id) || !EVENT_NAME.test(name) || !isEventView(view) || view.event !== name) {
    throw new StreamBroken('an event is none of a broker');
  }
  return { kind: 'event', next: Number(id), view };
}

function isEventView(value: unknown): value is EventView {
  return (
    isRecord(value) &&
    Number.isSafeInteger(value.position) &&
    Number(value.position) >= 0 &&
    typeof value.event === 'string' &&
    isRecord(value.subject) &&
    Object.values(value.subject).every((part) => typeof part === 'string')
  );
}

function parse(data: string): unknown {
  try {
    return parseStrictJson(Buffer.from(data));
  } catch (error) {
    throw new StreamBroken('what an event says is no JSON', { cause: error });
  }
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    throw new StreamBroken('not UTF-8', { cause: error });
  }
}
