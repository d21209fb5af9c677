/** What is told to those who listen. */
import { type Static, Type } from '@sinclair/typebox';
import { strict } from '../schema.ts';

/**
 * One server-sent event of `GET /v1/events` (`id` is the position). It says that something happened, never what exactly: whoever
 * cares asks. The first event of a stream is `hello`; `reset` means that too much was missed to be told: ask for everything.
 */
export const EventView = strict({
  position: Type.Integer(),
  event: Type.String(),
  subject: Type.Record(Type.String(), Type.String()),
});
export type EventView = Static<typeof EventView>;
