/** Reconciling: how far the journal of a device is known here, and what it has written since. */
import { MAX_PAGE_BYTES } from '../../break-glass/journal-entry.ts';
import * as m from '../../protocol/messages.ts';
import type { RouteContext } from './route-context.ts';

/** Lines are JSON within JSON: each quotation mark in them takes two bytes. */
const BODY_LIMIT = 2 * MAX_PAGE_BYTES + 16 * 1024;

export function registerJournalRoutes({ readOwn, handIn, store, journals }: RouteContext): void {
  readOwn('/v1/break-glass/journal', { result: m.JournalReply }, (device) =>
    store.read((tx) => journals.view(tx, device)),
  );

  handIn(
    '/v1/break-glass/journal',
    { body: m.UploadJournal, result: m.JournalReply, bodyLimit: BODY_LIMIT },
    (tx, device, { lines }) => journals.take(tx, device, lines),
    (tx, device) => journals.view(tx, device),
  );
}
