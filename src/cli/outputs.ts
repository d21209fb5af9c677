/**
 * What each command writes with --json, once: `oncall.<name>/v1` has the members of `outputs[name]`. The compiler holds commands to
 * the types, the tests every output they see to the schemas, and `oncall help json` prints them. Loaded for printing alone: commands
 * take types from here. Members may be added under the same version; one that goes or changes its meaning makes a new one.
 */
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { TraceView } from '../protocol/messages/audit.ts';
import { BreakGlassState, BreakGlassStates, Rollout } from '../protocol/messages/break-glass.ts';
import { ResourceList } from '../protocol/messages/catalogue.ts';
import { DeviceList, DeviceView, Me, ShiftView } from '../protocol/messages/devices.ts';
import { GrantList } from '../protocol/messages/grants.ts';
import { IncidentList, IncidentView } from '../protocol/messages/incidents.ts';
import {
  Explanation,
  GrantView,
  RequestList,
  RequestView,
  WaitingView,
} from '../protocol/messages/requests.ts';
import { ReviewList, ReviewView } from '../protocol/messages/reviews.ts';
import { Target } from '../protocol/messages/target.ts';
import { Instant, nullable, oneOf, strict } from '../protocol/schema.ts';
import { PublicPart } from '../protocol/targets/kinds.ts';

const Text = Type.String();
const Count = Type.Integer({ minimum: 0 });
const Lines = Type.Array(Text);

/** What may be shown of a credential. */
const PublicCredential = strict({ grantId: Text, target: Target, handle: Text, expiresAt: Instant });
const Answer = strict({ request: RequestView, credentials: Type.Array(PublicCredential) });
const OneRequest = strict({ request: RequestView });
const OneIncident = strict({ incident: IncidentView });
const OneReview = strict({ review: ReviewView });

const StatusGrant = strict({
  ...picked(GrantView, ['id', 'target', 'kind', 'via', 'rule', 'startsAt', 'endsAt', 'hardEndsAt']),
  ...picked(GrantView, ['graceEndsAt', 'graceCause', 'extensionsLeft', 'incidents']),
  state: oneOf('ready', 'active'),
  credentialExpiresAt: nullable(Instant),
  renewal: nullable(strict({ state: oneOf('refused', 'failing'), because: Text, since: Instant })),
  extension: nullable(
    strict({ state: oneOf('asked', 'refused'), because: Text, requestId: nullable(Text), endsAt: Instant }),
  ),
});

const OpenGlass = {
  pack: Text,
  slot: Count,
  target: Target,
  kind: GrantView.properties.kind,
  reason: Text,
  incident: nullable(Text),
  drill: Type.Boolean(),
  openedAt: Instant,
  expiresAt: Instant,
};

const Probe = strict({ endpoint: Text, tookMs: Count, outcome: Text });

/** Opened by the device, where the broker did not decide; else as a request. */
const BreakGlass = Type.Union([
  Answer,
  strict({
    decidedBy: Type.Literal('device'),
    request: Type.Null(),
    credentials: Type.Array(PublicCredential),
    /** `entry`: of the journal. `webhook`: whether there is one to be told. */
    opened: Type.Array(
      strict({ ...OpenGlass, entry: Count, webhook: Type.Boolean(), wasOpen: Type.Boolean() }),
    ),
    probes: Type.Array(Probe),
  }),
]);

const Status = strict({
  profile: Text,
  broker: Text,
  user: Text,
  device: strict({ id: Text, name: Text }),
  brokerContactAt: Instant,
  revocationsUnheardSince: nullable(Instant),
  unreachableSince: nullable(Instant),
  grants: Type.Array(StatusGrant),
  pending: Type.Array(
    strict({
      ...picked(RequestView, ['id', 'bundle', 'incident', 'createdAt', 'expiresAt']),
      targets: Type.Array(Target),
      waiting: Type.Array(WaitingView),
    }),
  ),
  incidents: Type.Array(strict(picked(IncidentView, ['id', 'priority', 'service', 'title']))),
  shifts: Type.Array(ShiftView),
  approvalsWaiting: Count,
  notices: Type.Array(strict({ at: Instant, text: Text })),
  reviews: Type.Array(strict(picked(ReviewView, ['id', 'user', 'dueAt', 'overdue']))),
  warnings: Lines,
  breakGlass: strict({
    packs: Type.Array(
      strict({ id: Text, target: Target, issuedAt: Instant, startsAt: Instant, endsAt: Instant }),
    ),
    open: Type.Array(strict(OpenGlass)),
    unreported: Count,
    broken: nullable(Text),
  }),
  ageSeconds: Count,
});

/** The grant whose window ends last, of those that were asked about; `good` is exit 0. */
const StatusCheck = strict({
  target: Text,
  good: Type.Boolean(),
  endsAt: nullable(Instant),
  leftSeconds: Count,
  neededSeconds: Count,
  grantId: nullable(Text),
});

/** A login for another tool: the one output that holds a secret. What else is in it depends on `kind`. */
const Credential = Type.Object(
  {
    target: Target,
    grantId: Text,
    expiresAt: Instant,
    kind: oneOf(...PublicPart.anyOf.map(({ properties }) => properties.kind.const)),
  },
  { additionalProperties: true },
);

const Kept = strict({
  id: Text,
  target: Target,
  endsAt: Instant,
  credentialRunsOutAt: nullable(Instant),
  renewsAt: nullable(Instant),
  extendsAt: nullable(Instant),
});
const AgentStatus = Type.Union([
  strict({ running: Type.Literal(false) }),
  strict({
    running: Type.Literal(true),
    pid: Type.Integer(),
    version: Text,
    broker: Text,
    user: Text,
    startedAt: Instant,
    brokerHeardAt: nullable(Instant),
    holdsKey: Type.Boolean(),
    rssBytes: Count,
    grants: Type.Array(Kept),
  }),
]);

const AuditEntry = Type.Object(
  {
    index: Count,
    at: Instant,
    event: Text,
    actor: Type.Object({ kind: Text, id: Text }, { additionalProperties: true }),
    subject: Type.Optional(Type.Record(Text, Text)),
  },
  { additionalProperties: true },
);

const Verified = strict({
  holds: Type.Boolean(),
  origin: Text,
  entries: Count,
  rootHash: nullable(Text),
  problems: Type.Array(
    strict({
      index: nullable(Count),
      kind: oneOf(
        ...(['edited', 'dropped', 'reordered', 'not-canonical', 'bad-signature', 'journal-gap'] as const),
        ...(['checkpoint-mismatch', 'receipt-mismatch', 'malformed'] as const),
      ),
      detail: Text,
    }),
  ),
  truncation: oneOf('checked', 'not checkable'),
  logKey: oneOf('pinned', 'from the file'),
});

const Setup = strict({
  tool: Text,
  file: Text,
  writesTo: Text,
  block: Text,
  state: oneOf('absent', 'current', 'outdated', 'edited'),
  did: oneOf('nothing', 'written', 'removed'),
  found: nullable(Lines),
  lines: nullable(Lines),
});

const Invitation = { url: Text, expiresAt: Instant };
const Finding = strict({
  severity: oneOf('error', 'warning'),
  file: Text,
  line: Type.Optional(Count),
  column: Type.Optional(Count),
  message: Text,
  hint: Type.Optional(Text),
});
const BrokerTarget = Type.Union([
  strict({ resource: Text, kind: Text, steps: Type.Array(strict({ title: Text, where: Text, text: Text })) }),
  strict({
    resource: Text,
    ok: Type.Boolean(),
    requirements: Type.Array(
      strict({ name: Text, ok: Type.Boolean(), detail: Text, fix: Type.Optional(Text) }),
    ),
  }),
]);

const Host = strict({
  id: Text,
  resource: Text,
  key: Text,
  state: oneOf('active', 'removed'),
  addedAt: Instant,
  lastSeenAt: nullable(Instant),
});

export const outputs = {
  request: Answer,
  wait: Answer,
  status: Status,
  'status.check': StatusCheck,
  grants: GrantList,
  renew: strict({ grants: Type.Array(GrantView), credentials: Type.Array(PublicCredential) }),
  release: strict({
    grants: Type.Array(GrantView),
    wipedHere: Lines,
    breakGlass: Type.Array(strict({ pack: Text, slot: Count, target: Target })),
  }),
  credential: Credential,
  console: strict({ target: Target, url: Text, endsAt: Instant }),
  resources: ResourceList,
  explain: Explanation,
  cancel: OneRequest,
  approvals: RequestList,
  approve: OneRequest,
  deny: OneRequest,
  revoke: GrantList,
  'incident.declare': OneIncident,
  'incident.list': IncidentList,
  'incident.show': OneIncident,
  'incident.resolve': OneIncident,
  'incident.reopen': OneIncident,
  'reviews.list': ReviewList,
  'reviews.show': OneReview,
  'reviews.close': OneReview,
  'break-glass': BreakGlass,
  'break-glass.list': BreakGlassStates,
  'break-glass.rotate': BreakGlassState,
  drill: strict({
    target: Target,
    passed: Type.Boolean(),
    tookMs: Count,
    tool: Text,
    because: nullable(Text),
    probes: Type.Array(Probe),
    /** Whether the broker has it already. */
    recorded: Type.Boolean(),
  }),
  rollout: Rollout,
  enroll: strict({
    user: Text,
    broker: Text,
    device: DeviceView,
    cachesAtRest: Type.Boolean(),
  }),
  setup: Setup,
  whoami: strict({ ...Me.properties, broker: Text, profile: Text }),
  'devices.list': DeviceList,
  'devices.revoke': strict({ device: DeviceView }),
  'devices.add': strict(Invitation),
  'agent.status': AgentStatus,
  'agent.stop': strict({ stopped: Type.Boolean() }),
  'agent.logs': strict({ file: Text, lines: Type.Array(Type.Record(Text, Type.Unknown())) }),
  'agent.install': strict({ file: Text, installed: Type.Boolean(), next: Text }),
  'audit.list': strict({ size: Count, entries: Type.Array(AuditEntry) }),
  'audit.export': strict({ file: Text, entries: Count }),
  'audit.who': strict({ name: Text, at: nullable(Instant), traces: Type.Array(TraceView) }),
  'audit.verify': Verified,
  completion: strict({ shell: Text, script: Text }),
  doctor: strict({
    profile: Text,
    ok: Type.Boolean(),
    checks: Type.Array(
      strict({
        check: Text,
        level: oneOf('ok', 'warn', 'fail'),
        says: Text,
        fix: nullable(Text),
        canMend: Type.Boolean(),
      }),
    ),
    mended: Type.Array(strict({ check: Text, did: Text })),
  }),
  probe: strict({
    ok: Type.Boolean(),
    checks: Type.Array(
      strict({
        check: Text,
        endpoint: nullable(Text),
        state: oneOf('ok', 'warn', 'fail'),
        tookMs: Type.Number({ minimum: 0 }),
        detail: Text,
        value: nullable(Type.Number()),
      }),
    ),
  }),
  'host.init': strict({ key: Text, isNew: Type.Boolean(), command: Text }),
  'host.status': strict({
    startedAt: Instant,
    reportedAt: nullable(Instant),
    listAt: nullable(Instant),
    list: nullable(Count),
    waiting: Count,
    lost: Count,
    sessions: Count,
    failing: Type.Record(Text, Text),
  }),
  'broker.init': strict({ directory: Text, admin: Text, user: Text, ...Invitation }),
  'broker.check': strict({ ok: Type.Boolean(), findings: Type.Array(Finding) }),
  'broker.invite': strict({ user: Text, ...Invitation }),
  'broker.target': BrokerTarget,
  'broker.migrate': strict({ applied: Lines, keys: Lines }),
  'broker.unit': strict({ unit: Text }),
  'broker.backup': strict({ file: Text }),
  'broker.restore': strict({ file: Text, kept: Text }),
  'broker.host.add': Host,
  'broker.host.remove': Host,
  'broker.host.list': strict({ hosts: Type.Array(Host) }),
  'broker.rotate.tls': strict({ directory: Text }),
  'broker.rotate.tokens': strict({ directory: Text, outcome: Text }),
  /** On stderr, a line each, while something goes on. */
  note: strict({ message: Text }),
  warning: strict({ message: Text }),
  /** On stderr, in place of or after a result. */
  error: strict({
    code: Text,
    message: Text,
    hint: Text,
    exitCode: Type.Integer(),
    correlationId: nullable(Text),
    details: Type.Optional(Type.Record(Text, Type.Unknown())),
  }),
} as const satisfies Record<string, TSchema>;

export type OutputName = keyof typeof outputs;

/** With `schema`, and with nothing else than what is declared: what our own output is held to. */
export function outputSchema(name: OutputName): TSchema {
  return named(outputs[name], Type.Literal(`oncall.${name}/v1`));
}

function named(type: TSchema, schema: TSchema): TSchema {
  if (Array.isArray(type.anyOf)) return { ...type, anyOf: type.anyOf.map((one) => named(one, schema)) };
  return {
    ...type,
    properties: { schema, ...type.properties },
    required: ['schema', ...(type.required ?? [])],
  };
}
/** The members of an output besides `schema`. */
export type Output<Name extends OutputName> = Fixed<Static<(typeof outputs)[Name]>>;

/** What is only written out may be read-only. */
type Fixed<T> = T extends object ? { readonly [Key in keyof T]: Fixed<T[Key]> } : T;

function picked<
  T extends { properties: Record<string, TSchema> },
  const K extends keyof T['properties'] & string,
>({ properties }: T, names: readonly K[]): Pick<T['properties'], K> {
  return Object.fromEntries(names.map((name) => [name, properties[name]])) as Pick<T['properties'], K>;
}
