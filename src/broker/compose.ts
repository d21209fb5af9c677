/** How the broker's parts are put together, and which timer leads where. */
import type { Logger } from 'pino';
import type { SecretRef } from '../catalogue/types.ts';
import type { Issuer } from '../issuers/issuer.ts';
import { REVOCATION_LISTS } from '../issuers/revocations.ts';
import { createId } from '../protocol/ids.ts';
import type { Store, Tx } from '../store/store.ts';
import { createAlarms } from './alarms.ts';
import { createApprovals } from './approvals.ts';
import type { AuditLog } from './audit-log.ts';
import { createBreakGlass } from './break-glass.ts';
import { createBreakGlassOpening } from './break-glass-opening.ts';
import { createChanges } from './changes.ts';
import { createCredentials } from './credentials.ts';
import { createDevices } from './devices.ts';
import { createEndings } from './endings.ts';
import { createEventHub } from './event-hub.ts';
import { createHostReports } from './host-reports.ts';
import { createAutomation } from './incidents/automation.ts';
import { createConsequences } from './incidents/consequences.ts';
import { createDeliveries } from './incidents/deliveries.ts';
import { createIncidentFeed } from './incidents/incident-feed.ts';
import type { Incidents } from './incidents/incidents.ts';
import { createIncidents } from './incidents/incidents.ts';
import { createPolling } from './incidents/polling.ts';
import type { Lane } from './jobs.ts';
import { createJournalBreaks } from './journal-breaks.ts';
import { createJournalUses } from './journal-uses.ts';
import { createJournals } from './journals.ts';
import { createLifetimes } from './lifetimes.ts';
import { createLoginWatch } from './login-watch.ts';
import { createMetrics } from './metrics.ts';
import type { Modules } from './modules.ts';
import { createOutbox } from './outbox.ts';
import type { Outside } from './outside.ts';
import { createPacks } from './packs/packs.ts';
import type { BreakGlassIssuers } from './packs/plan.ts';
import { createPackWatch } from './packs/watch.ts';
import { createRequests } from './requests.ts';
import { createReviews } from './reviews.ts';
import type { CurrentRules, Rules } from './rules.ts';
import { createSettlements } from './settlements.ts';
import { createShiftWatch } from './shift-watch.ts';
import { createStages } from './stages.ts';
import { createSweep } from './sweep.ts';
import { createUnprovenWatch } from './unproven.ts';

export interface Composed {
  modules: Modules;
  lanes: readonly Lane[];
  /** Sees that the standing timers are there: at start, and after each reload. */
  schedule(tx: Tx): Promise<void>;
  /** Before rules come into force: what is known of shifts, for their catalogue. */
  prepare(rules: Rules): Promise<void>;
  start(): Promise<void>;
  /** After rules came into force: what only the old ones named is closed. */
  reloaded(): Promise<void>;
  stop(): Promise<void>;
}

const HOUR_MS = 3_600_000;

function lane(atOnce: number, handlers: Lane['handlers']): Lane {
  return { handlers, atOnce };
}

/** Has the automatic grants looked at as soon as can be. */
async function watchShifts(tx: Tx): Promise<void> {
  const dueAt = await tx.now();
  await tx.insertJob({ id: createId('job', dueAt), kind: 'automation', subject: 'watch', dueAt });
}

export function compose(deps: {
  store: Store;
  rules: CurrentRules;
  log: AuditLog;
  issuers: ReadonlyMap<string, Issuer>;
  breakGlass: BreakGlassIssuers;
  outside: Outside;
  logger: Logger;
  /** Fingerprints of the CAs that sign what engineers log in with. */
  authorities: ReadonlySet<string>;
  invitation: { publicUrl: string; rawIdentityKey: Uint8Array };
  /** By the identity key. */
  sign: (message: Uint8Array) => Uint8Array;
  resolveSecret: (ref: SecretRef) => Promise<string>;
}): Composed {
  const { store, rules, log, issuers, breakGlass, outside, logger } = deps;
  const changes = createChanges();
  const metrics = createMetrics(store, rules);
  const endings = createEndings(store, issuers, log);
  const outbox = createOutbox(store, rules, outside.channelOf);
  const alarms = createAlarms(rules, log, outbox);
  const reviews = createReviews(rules, log, outbox, alarms);
  const opening = createBreakGlassOpening(rules, log, { outbox, reviews });
  const settlements = createSettlements(rules, log, { outbox, opening });
  const stages = createStages(store, rules, log, { outbox, settlements, reviews });
  const requests = createRequests(rules, log, stages, settlements);
  const lifetimes = createLifetimes(store, rules, log, endings, outbox);
  const automation = createAutomation(store, rules, log, outbox);
  const consequences = createConsequences({ automation, lifetimes, requests });
  const feed = createIncidentFeed(rules, log, consequences);
  const incidents: Incidents = createIncidents(rules, log, consequences);
  const onError = (error: unknown) => logger.error({ err: error }, 'looking for news failed');
  const packWatch = createPackWatch(store, rules, log, outbox, breakGlass);
  // A changed shift may be the start of one, or the end.
  const watch = createShiftWatch(store, rules, {
    onError,
    onNew: () =>
      store.write(async (tx) => {
        await watchShifts(tx);
        await packWatch.schedule(tx);
      }),
  });
  const polling = createPolling(store, rules, feed, {
    readersOf: outside.readersOf,
    logger,
    onShifts: () => watch.look(),
    random: Math.random,
  });
  const unproven = createUnprovenWatch(store, alarms);
  const logins = createLoginWatch(store, alarms);
  const sweep = createSweep(store, rules, { issuers, log, endings, alarms, logger, random: Math.random });
  const deliveries = createDeliveries(store, rules, feed, polling, { webhookOf: outside.webhookOf, logger });
  const journals = createJournals(
    log,
    alarms,
    createJournalBreaks(alarms, reviews, endings),
    createJournalUses(rules, log, reviews, outbox),
  );
  const events = createEventHub(store, changes, onError);

  return {
    modules: {
      requests,
      breakGlass: createBreakGlass(rules, log, { stages, opening }),
      approvals: createApprovals(rules, log, stages, settlements),
      credentials: createCredentials(store, rules, issuers, log, endings),
      endings,
      devices: createDevices(store, log, endings, deps.invitation, (user) =>
        rules().catalogue.people.has(user),
      ),
      incidents,
      deliveries,
      hostReports: createHostReports(log, logins, deps.authorities),
      reviews,
      journals,
      packs: createPacks(rules, log, breakGlass, deps),
      packWatch,
      outbox,
      events,
      changes,
      metrics,
    },
    lanes: [
      lane(8, {
        'end-grant': (id) => lifetimes.grantTimer(id),
        'expire-request': async (id) => {
          await store.write((tx) => requests.expire(tx, id));
          return undefined;
        },
        stage: (subject) => stages.timer(subject),
        delivery: (id) => deliveries.work(id),
        automation: () => automation.watch(),
        unproven: () => unproven.look(),
        packs: () => packWatch.look(),
        logins: (subject) => logins.timer(subject),
        'sweep-revocations': async (list) => {
          const nowMs = await store.now();
          await store.write((tx) => tx.sweepRevocations(list, nowMs - HOUR_MS));
          return nowMs + HOUR_MS;
        },
      }),
      lane(8, { credential: (id, signal) => endings.credentialTimer(id, signal) }),
      lane(4, { notice: (id, signal) => outbox.deliver(id, signal) }),
      // Mostly asks: a broker that stops does not wait, and whoever looks next begins anew.
      { ...lane(2, { sweep: (resource, signal) => sweep.sweep(resource, signal) }), isCutAtStop: true },
      // Only asks: a broker that stops does not wait for the answer.
      { ...lane(4, { poll: (subject, signal) => polling.poll(subject, signal) }), isCutAtStop: true },
    ],
    async schedule(tx) {
      const dueAt = await tx.now();
      for (const list of REVOCATION_LISTS)
        await tx.insertJob({ id: createId('job', dueAt), kind: 'sweep-revocations', subject: list, dueAt });
      await watchShifts(tx);
      await unproven.schedule(tx);
      await packWatch.schedule(tx);
      await logins.schedule(tx);
      await polling.schedule(tx);
      await sweep.schedule(tx);
    },
    async prepare(next) {
      await watch.fill(next);
    },
    async start() {
      await watch.fill(rules());
      watch.start();
      await events.start();
    },
    reloaded: () => outside.keepCurrent(),
    async stop() {
      changes.close();
      watch.stop();
      await events.stop();
      await outside.close();
    },
  };
}
