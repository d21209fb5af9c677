import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { parseInstant } from '../protocol/time.ts';
import type { Store } from '../store/store.ts';
import { readDrills } from './phases.ts';
import { askedFor } from './poll-subjects.ts';
import type { CurrentRules } from './rules.ts';
import { LOGINS } from './sweep.ts';
import { taintedStates } from './taints.ts';
import { findUnproven } from './unproven.ts';

/** Beyond it they are not counted. */
const MOST_GRANTS = 100_000;

/** What an operator watches (`/metrics`, Prometheus text). */
export interface Metrics {
  registry: Registry;
  requests: Histogram<'route' | 'status'>;
  decisions: Counter<'effect'>;
  refusals: Counter<'code'>;
  authentication: Counter<'reason'>;
  denials: Counter<'rule'>;
  credentials: Counter<'kind' | 'outcome'>;
  renewals: Counter<'kind' | 'outcome'>;
  reloads: Counter<'outcome'>;
  deliveries: Counter<'source' | 'outcome'>;
}

export function createMetrics(store: Store, rules: CurrentRules): Metrics {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: 'oncall_jobs_due',
    help: 'Due work by kind; oldest overdue in oncall_job_overdue_seconds',
    labelNames: ['kind'],
    registers,
    async collect() {
      this.reset();
      for (const { kind, count } of await store.read((tx) => tx.countJobs())) this.set({ kind }, count);
    },
  });
  new Gauge({
    name: 'oncall_job_overdue_seconds',
    help: 'How long the oldest job of a kind has been due',
    labelNames: ['kind'],
    registers,
    async collect() {
      this.reset();
      const now = await store.now();
      for (const { kind, oldestDueAt } of await store.read((tx) => tx.countJobs())) {
        this.set({ kind }, Math.max(0, (now - oldestDueAt) / 1000));
      }
    },
  });
  new Gauge({
    name: 'oncall_source_age_seconds',
    help: 'How long ago an outside system last gave a good answer, by what it was asked for; +Inf: never',
    labelNames: ['source', 'subject'],
    registers,
    async collect() {
      this.reset();
      const now = await store.now();
      const polls = await store.read((tx) => tx.polls());
      for (const { source, subject, succeededAt } of polls.filter(askedFor(rules().catalogue))) {
        const at = succeededAt ?? Number.NEGATIVE_INFINITY;
        this.set({ source, subject }, Math.max(0, now - at) / 1000);
      }
    },
  });
  new Gauge({
    name: 'oncall_notices_waiting',
    help: 'Notices that have not been taken over yet, by channel',
    labelNames: ['channel'],
    registers,
    async collect() {
      this.reset();
      const now = await store.now();
      for (const { channel, waiting } of await store.read((tx) => tx.countNotices(now)))
        this.set({ channel }, waiting);
    },
  });
  new Gauge({
    name: 'oncall_notice_lag_seconds',
    help: 'For how long the oldest notice of a channel has waited; 0 where none waits',
    labelNames: ['channel'],
    registers,
    async collect() {
      this.reset();
      const now = await store.now();
      for (const { channel, oldestAt } of await store.read((tx) => tx.countNotices(now)))
        this.set({ channel }, oldestAt === null ? 0 : Math.max(0, now - oldestAt) / 1000);
    },
  });
  new Gauge({
    name: 'oncall_grants',
    help: 'Grants that stand, by state and by how they came to be',
    labelNames: ['state', 'via'],
    registers,
    async collect() {
      this.reset();
      const standing = await store.read((tx) =>
        tx.grants({ states: ['ready', 'active'], limit: MOST_GRANTS }),
      );
      for (const { state, via } of standing) this.inc({ state, via });
    },
  });
  new Gauge({
    name: 'oncall_drill_age_seconds',
    help: 'How long ago a drill last passed at a resource with break-glass; +Inf: never',
    labelNames: ['resource'],
    registers,
    async collect() {
      this.reset();
      const { catalogue } = rules();
      const now = await store.now();
      const drilled = await store.read((tx) => readDrills(tx, catalogue));
      for (const { id, breakGlass, canary } of catalogue.resources.values()) {
        if (!breakGlass && !canary) continue;
        const at = drilled.get(id) ?? Number.NEGATIVE_INFINITY;
        this.set({ resource: id }, Math.max(0, now - at) / 1000);
      }
    },
  });
  new Gauge({
    name: 'oncall_endings_unproven',
    help: 'Logins that should have ended a minute ago or more, and of which that is not proven',
    registers,
    async collect() {
      const now = await store.now();
      this.set((await store.read((tx) => findUnproven(tx, now))).length);
    },
  });
  new Gauge({
    name: 'oncall_ending_unproven_seconds',
    help: 'For how long the oldest of them has been ending; 0 where there is none',
    registers,
    async collect() {
      const now = await store.now();
      const rows = await store.read((tx) => findUnproven(tx, now));
      const oldest = Math.min(now, ...rows.map(({ endingAt }) => endingAt ?? now));
      this.set((now - oldest) / 1000);
    },
  });
  new Gauge({
    name: 'oncall_orphans',
    help: 'Logins at a target that should not exist, as it was looked at last',
    labelNames: ['resource'],
    registers,
    async collect() {
      this.reset();
      for (const { kind, resource, count } of await store.read((tx) => tx.alarms()))
        if (kind === 'orphan') this.inc({ resource }, count);
    },
  });
  new Gauge({
    name: 'oncall_sweep_age_seconds',
    help: 'How long ago a target was last searched for logins that should not exist; +Inf: never',
    labelNames: ['resource'],
    registers,
    async collect() {
      this.reset();
      const now = await store.now();
      const { resources } = rules().catalogue;
      const polls = await store.read((tx) => tx.polls());
      for (const { source, subject, succeededAt } of polls) {
        if (subject !== LOGINS || !resources.has(source)) continue;
        const at = succeededAt ?? Number.NEGATIVE_INFINITY;
        this.set({ resource: source }, Math.max(0, now - at) / 1000);
      }
    },
  });
  new Gauge({
    name: 'oncall_break_glass_tainted_seconds',
    help: 'For how long a resource has been tainted by break-glass: not rotated, or a review is open',
    labelNames: ['resource'],
    registers,
    async collect() {
      this.reset();
      const now = await store.now();
      for (const { resource, taintedAt } of await store.read(taintedStates))
        this.set({ resource }, Math.max(0, now - parseInstant(taintedAt ?? '')) / 1000);
    },
  });
  new Gauge({
    name: 'oncall_journals_broken',
    help: 'Journals of devices that do not add up, and that nobody has decided about',
    registers,
    async collect() {
      this.set((await store.read((tx) => tx.brokenJournals())).length);
    },
  });
  new Gauge({
    name: 'oncall_host_age_seconds',
    help: 'How long ago a host last reported who logs in there; +Inf: never',
    labelNames: ['host', 'resource'],
    registers,
    async collect() {
      this.reset();
      const now = await store.now();
      for (const { id, resource, state, lastSeenAt } of await store.read((tx) => tx.hosts())) {
        if (state !== 'active') continue;
        const at = lastSeenAt ?? Number.NEGATIVE_INFINITY;
        this.set({ host: id, resource }, Math.max(0, now - at) / 1000);
      }
    },
  });
  return {
    registry,
    requests: new Histogram({
      name: 'oncall_http_seconds',
      help: 'Time to answer, by route and status',
      labelNames: ['route', 'status'],
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    }),
    decisions: new Counter({
      name: 'oncall_decisions_total',
      help: 'Requests by what policy decided',
      labelNames: ['effect'],
      registers,
    }),
    refusals: new Counter({
      name: 'oncall_refusals_total',
      help: 'Error replies by code',
      labelNames: ['code'],
      registers,
    }),
    authentication: new Counter({
      name: 'oncall_authentication_failures_total',
      help: 'Requests that were not recognised, by the reason that only the broker knows',
      labelNames: ['reason'],
      registers,
    }),
    credentials: new Counter({
      name: 'oncall_credentials_total',
      help: 'Credentials by kind and outcome of issuing',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    denials: new Counter({
      name: 'oncall_denials_total',
      help: 'Requests that policy denied, by the rule that did',
      labelNames: ['rule'],
      registers,
    }),
    renewals: new Counter({
      name: 'oncall_renewals_total',
      help: 'Of the credentials those that took the place of one that was held',
      labelNames: ['kind', 'outcome'],
      registers,
    }),
    deliveries: new Counter({
      name: 'oncall_webhook_deliveries_total',
      help: 'Genuine webhook deliveries, by source; repeated ones were taken before',
      labelNames: ['source', 'outcome'],
      registers,
    }),
    reloads: new Counter({
      name: 'oncall_reloads_total',
      help: 'Reloads of catalogue and policy, by outcome',
      labelNames: ['outcome'],
      registers,
    }),
  };
}
