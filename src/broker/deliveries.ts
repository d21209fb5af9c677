/** Webhook deliveries: verified and stored within the sender's limit, worked on after. */
import type { Source } from '../catalogue/types.ts';
import type { Json } from '../protocol/canonical-json.ts';
import { createId } from '../protocol/ids.ts';
import type { OutsideIncident, RawDelivery, WebhookProfile } from '../sources/incident.ts';
import type { Store } from '../store/store.ts';
import { AuthenticationError } from './authenticate.ts';
import type { IncidentFeed } from './incident-feed.ts';
import type { Polling } from './polling.ts';
import type { CurrentRules } from './rules.ts';

export interface Deliveries {
  /** Throws the uniform refusal for a source that nobody named, and for what is not genuine. Answers whether it is new. */
  accept(sourceId: string, raw: RawDelivery): Promise<boolean>;
  /** The timer of one delivery. */
  work(id: string): Promise<undefined>;
}

export function createDeliveries(
  store: Store,
  rules: CurrentRules,
  feed: IncidentFeed,
  polling: Polling,
  profileOf: (source: Source) => Promise<WebhookProfile | undefined>,
): Deliveries {
  return {
    async accept(sourceId, raw) {
      const source = rules().catalogue.sources.get(sourceId);
      const profile = source && (await profileOf(source));
      if (!source || !profile) throw new AuthenticationError('no such webhook');
      const nowMs = await store.now();
      profile.verify(raw, nowMs);
      const delivery = profile.parse(raw, nowMs);
      return store.write(async (tx) => {
        const id = createId('dlv', nowMs);
        const isNew = await tx.insertDelivery({
          id,
          source: source.id,
          deliveryId: delivery.id,
          receivedAt: nowMs,
          incidents: delivery.incidents as unknown as Json,
          doneAt: null,
          outcome: null,
        });
        if (isNew)
          await tx.insertJob({ id: createId('job', nowMs), kind: 'delivery', subject: id, dueAt: nowMs });
        return isNew;
      });
    },

    async work(id) {
      await store.write(async (tx) => {
        const delivery = await tx.delivery(id);
        if (!delivery || delivery.doneAt !== null) return;
        const source = rules().catalogue.sources.get(delivery.source);
        const outcomes: string[] = [];
        for (const word of delivery.incidents as unknown as OutsideIncident[]) {
          outcomes.push(
            source ? await feed.take(tx, source, word, false) : 'its source has left the catalogue',
          );
        }
        await tx.finishDelivery(id, await tx.now(), outcomes.join('; ') || 'about no incident');
        if (source && outcomes.length > 0) await polling.hurry(tx, source);
      });
      return undefined;
    },
  };
}
