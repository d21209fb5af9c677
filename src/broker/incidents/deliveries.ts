/** Webhook deliveries: verified and stored within the sender's limit, worked on after. */
import type { Logger } from 'pino';
import type { Source } from '../../catalogue/types.ts';
import type { Json } from '../../protocol/canonical-json.ts';
import { isAppError } from '../../protocol/errors.ts';
import { createId } from '../../protocol/ids.ts';
import type { Delivery, OutsideIncident, RawDelivery, WebhookProfile } from '../../sources/incident.ts';
import type { Store } from '../../store/store.ts';
import { AuthenticationError } from '../authenticate.ts';
import type { CurrentRules } from '../rules.ts';
import type { IncidentFeed } from './incident-feed.ts';
import type { Polling } from './polling.ts';

export interface Deliveries {
  /**
   * Throws the uniform refusal for a source that nobody named, for what is not genuine, and for what cannot be told from it.
   * Answers whether it is new.
   */
  accept(sourceId: string, raw: RawDelivery): Promise<boolean>;
  /** The timer of one delivery. */
  work(id: string): Promise<undefined>;
}

export function createDeliveries(
  store: Store,
  rules: CurrentRules,
  feed: IncidentFeed,
  polling: Polling,
  deps: { webhookOf: (source: Source) => Promise<WebhookProfile | undefined>; logger: Logger },
): Deliveries {
  async function readGenuine(source: Source, raw: RawDelivery, nowMs: number): Promise<Delivery> {
    try {
      const profile = await deps.webhookOf(source);
      if (!profile) throw new AuthenticationError('no such webhook');
      profile.verify(raw, nowMs);
      return profile.parse(raw, nowMs);
    } catch (error) {
      if (error instanceof AuthenticationError) throw error;
      // Only the log learns which it was, and what would mend it.
      deps.logger.warn({ err: error, source: source.id }, 'a webhook delivery was refused');
      throw new AuthenticationError(reasonOf(error), error);
    }
  }

  return {
    async accept(sourceId, raw) {
      const source = rules().catalogue.sources.get(sourceId);
      if (!source) throw new AuthenticationError('no such webhook');
      const nowMs = await store.now();
      const delivery = await readGenuine(source, raw, nowMs);
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

/** A few words: a metric counts them. */
function reasonOf(error: unknown): string {
  if (isAppError(error, 'unauthenticated')) return 'forged delivery';
  return isAppError(error, 'invalid_request') ? 'malformed delivery' : 'delivery not verifiable';
}
