import type { HttpRole, HttpSettings } from './targets/http.ts';
import type { TargetSettings } from './targets/kinds.ts';
import type { KubernetesRole, KubernetesSettings } from './targets/kubernetes.ts';
import type { PostgresRole, PostgresSettings } from './targets/postgres.ts';
import type { SshHost, SshRole, SshSettings } from './targets/ssh.ts';
import type { X509Role, X509Settings } from './targets/x509.ts';

/**
 * The catalogue after parsing: who exists, what can be reached, who is on call when, who may be asked. Durations are
 * seconds, instants milliseconds since 1970. The catalogue describes; the policy decides.
 */
export interface Person {
  id: string;
  name: string;
  email: string | undefined;
  groups: readonly string[];
  manager: string | undefined;
  /** Ids at outside sources, by the source's name, e.g. `{ pagerduty: 'PXYZ' }`. Mapped explicitly, never by e-mail alone. */
  ids: Readonly<Record<string, string>>;
}

/** A rotation: `people` take turns of `lengthDays` local days each, handing over at `startsAt`'s local time of day. */
export interface Rotation {
  level: number;
  people: readonly string[];
  /** Local date and time in the schedule's zone, `2026-01-05T09:00`. */
  startsAt: string;
  lengthDays: number;
}

export interface ScheduleOverride {
  level: number;
  user: string;
  startsAtMs: number;
  endsAtMs: number;
}

/** A schedule's place in an outside system. */
export interface ScheduleFeed {
  source: string;
  /** The system's own id of the schedule; empty for a calendar feed, which is one schedule. */
  id: string;
  /** The level of everybody on this feed; undefined where the system says a level itself (PagerDuty's escalation level). */
  level: number | undefined;
}

/** Written here (`rotations`), or read from outside (`feeds`): one or the other. */
export interface Schedule {
  id: string;
  /** IANA name. Handover happens at the same local time on both sides of a daylight-saving change. */
  timeZone: string;
  rotations: readonly Rotation[];
  overrides: readonly ScheduleOverride[];
  feeds: readonly ScheduleFeed[];
}

/** In YAML: `services: { orders: { schedules: [orders-primary], bundle: orders, ids: { pagerduty: PSVC1 } } }`. */
export interface Service {
  id: string;
  /** Being on call here is being on call for the service's resources (`shift.value.coversResource`). */
  schedules: readonly string[];
  /** What an incident on this service opens where no automation rule matches it. */
  bundle: string | undefined;
  /** What outside sources call this service, by the source's name. */
  ids: Readonly<Record<string, readonly string[]>>;
}

/** A secret is never written into YAML, only where to read it. File paths are relative to the catalogue. */
export type SecretRef = { file: string } | { env: string };

export type {
  HttpRole,
  HttpSettings,
  KubernetesRole,
  KubernetesSettings,
  PostgresRole,
  PostgresSettings,
  SshHost,
  SshRole,
  SshSettings,
  TargetSettings,
  X509Role,
  X509Settings,
};

export interface Resource {
  id: string;
  description: string | undefined;
  service: string;
  environment: string;
  sensitivity: 'low' | 'medium' | 'high';
  defaultRole: string;
  /** Role names, narrowest first. */
  roles: readonly string[];
  session: { defaultSeconds: number; maxSeconds: number; maxExtensions: number };
  credentialSeconds: number;
  /** In the order in which resources are brought in: 1 non-critical, 2 production with break-glass, 3 with on-call automation. */
  phase: 1 | 2 | 3;
  breakGlass: BreakGlass | undefined;
  /** Nothing of value is behind it: what `oncall drill` breaks the glass of. */
  canary: boolean;
  target: TargetSettings;
}

/** In YAML: `breakGlass: { roles: [read], window: 1h, max: 2h, twoPerson: true, offline: true }`. Without it there is none. */
export interface BreakGlass {
  /** Narrowest first; the first one unless the person asks for another. */
  roles: readonly string[];
  windowSeconds: number;
  maxWindowSeconds: number;
  /** Online a second person must say yes. */
  twoPerson: boolean;
  /** Whether devices get packs for the time without a broker. */
  offline: boolean;
}

/** Who may say yes: a person, `group:NAME`, `manager` (the requester's), or `schedule:NAME level N` (any level without one). */
export type Approver =
  | { kind: 'person'; id: string }
  | { kind: 'group'; id: string }
  | { kind: 'manager' }
  | { kind: 'schedule'; id: string; level: number | undefined };

/** So many of these must say yes. A person's yes counts for one party alone. */
export interface Party {
  approvers: readonly Approver[];
  need: number;
}

export interface Stage {
  /** All of them must be satisfied. */
  parties: readonly Party[];
  /** After so long without an answer `otherwise` happens (`then` in YAML); undefined: when the request expires. */
  waitSeconds: number | undefined;
  /** The next stage is asked as well (nobody is locked out), the request is granted by override, or it is denied. */
  otherwise: 'next' | 'auto-override' | 'deny';
}

/** Stages in order; `approvers: […]` in YAML is one stage with one party. Satisfied as soon as one stage that was reached is. */
export interface ApprovalChain {
  id: string;
  stages: readonly Stage[];
  /** How long a request on this chain stays pending. */
  expiresSeconds: number;
}

/** In YAML: `bundles: { orders: { targets: [db-replica, db-host:operator] } }`. Shares its names with resources. */
export interface Bundle {
  id: string;
  description: string | undefined;
  targets: readonly { resource: string; role: string }[];
}

/** What opens by itself: a bundle, for whoever is on call at this level or a better one. */
export interface AutomationRule {
  id: string;
  on:
    | { kind: 'shift'; schedule: string }
    /** Empty `priorities` and `labels` match all. On call means: on a schedule of the service. */
    | {
        kind: 'alert';
        service: string;
        priorities: readonly string[];
        labels: Readonly<Record<string, string>>;
      };
  maxLevel: number;
  bundle: string;
}

/** How a source is reached. `url` is the vendor's API, changed for its EU instance or a test. */
export type SourceSettings =
  /** The feed's address is a secret by itself. */
  | { kind: 'ical'; feed: SecretRef }
  | { kind: 'pagerduty'; url: string; token: SecretRef | undefined; webhookSecrets: readonly SecretRef[] }
  /** Jira Service Management Operations: `user` is the e-mail address that the token belongs to; `url` holds the site's cloud id. */
  | { kind: 'jsm'; url: string; user: string; token: SecretRef }
  | { kind: 'incidentio'; url: string; token: SecretRef | undefined; webhookSecrets: readonly SecretRef[] }
  | { kind: 'rootly'; webhookSecrets: readonly SecretRef[] }
  /** Who delivers: the holder of a bearer token, or of a client certificate by `caFile` with one of these names. */
  | {
      kind: 'alertmanager';
      bearer: SecretRef | undefined;
      clientCertificate: { caFile: string; names: readonly string[] } | undefined;
    };
export type SourceKind = SourceSettings['kind'];

export interface Source {
  id: string;
  settings: SourceSettings;
  pollSeconds: number;
  /** Knowledge younger than this counts fully. */
  freshSeconds: number;
  /** Older than fresh, `grant` becomes `ask`; older than this, the fact is unknown. */
  usableSeconds: number;
  /** What the source calls a priority → `P1` … `P5`. Those of our own form need no entry. */
  priorities: Readonly<Record<string, string>>;
  /** An incident from a source that is not trusted opens nothing wider than a resource's narrowest role. */
  trusted: boolean;
}

export const NOTICE_KINDS = [
  'approval',
  'settled',
  'opened',
  'ending',
  'override',
  'review',
  'alarm',
  'break-glass',
] as const;
export type NoticeKind = (typeof NOTICE_KINDS)[number];

export type ChannelSettings =
  | { kind: 'slack'; webhook: SecretRef }
  | {
      kind: 'email';
      host: string;
      port: number;
      /** TLS from the first byte; else STARTTLS, required unless the host is loopback. */
      tls: boolean;
      user: string | undefined;
      password: SecretRef | undefined;
      from: string;
    }
  /** Signed as Standard Webhooks says. */
  | { kind: 'webhook'; url: string; secret: SecretRef }
  | { kind: 'pagerduty-events'; url: string; routingKey: SecretRef };

export interface Channel {
  id: string;
  settings: ChannelSettings;
  /** What is sent here. */
  notices: readonly NoticeKind[];
}

export interface Catalogue {
  people: ReadonlyMap<string, Person>;
  groups: ReadonlySet<string>;
  services: ReadonlyMap<string, Service>;
  schedules: ReadonlyMap<string, Schedule>;
  resources: ReadonlyMap<string, Resource>;
  chains: ReadonlyMap<string, ApprovalChain>;
  bundles: ReadonlyMap<string, Bundle>;
  automation: ReadonlyMap<string, AutomationRule>;
  sources: ReadonlyMap<string, Source>;
  channels: ReadonlyMap<string, Channel>;
  /** How long what was opened outlives its incident, and its shift. */
  grace: { incidentSeconds: number; shiftSeconds: number };
  /** Who closes reviews (never the one reviewed), and by when. */
  reviews: { owners: readonly Approver[]; dueSeconds: number };
  breakGlass: {
    /** Who hears of each use, on at least two channels. */
    notify: readonly Approver[];
    /** What devices tell directly when there is no broker; each with a secret of its own that is made from this one. */
    webhook: { url: string; secret: SecretRef } | undefined;
    /** For how long a pack covers, where a shift is longer or has no end. */
    coverSeconds: number;
  };
  /** Where in the file it says what (`resources.db-replica.session`): for findings that are made later than by reading it. */
  places: ReadonlyMap<string, Place>;
  /** Hex SHA-256 of the file as read: every decision records it. */
  sha256: string;
  /** The folder that relative paths in the catalogue start from. */
  directory: string;
}

/** Line and column count from 1. */
export interface Place {
  line: number;
  column: number;
}

/** Something wrong in a file that people write; `line` and `column` count from 1. */
export interface Finding {
  severity: 'error' | 'warning';
  file: string;
  line: number | undefined;
  column: number | undefined;
  message: string;
  hint: string | undefined;
}
