import { AppError } from '../protocol/errors.ts';
import { isName } from '../protocol/names.ts';

const EXAMPLE_PEOPLE = ['example-engineer', 'example-lead'];
/** A real public key whose private half was thrown away: it vouches for nothing. */
const EXAMPLE_HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4';

export interface StarterInput {
  /** The id of the first administrator. */
  admin: string;
  /** What people read; the id where it is missing. */
  adminName?: string | undefined;
  adminEmail?: string | undefined;
}

/**
 * The text of a first catalogue.yaml: loads without findings, together with the starter policies. Throws `usage` for an
 * administrator whose id is not a name, or is one of the examples'.
 */
export function starterCatalogue({ admin, adminName = admin, adminEmail }: StarterInput): string {
  if (!isName(admin) || EXAMPLE_PEOPLE.includes(admin)) {
    throw new AppError('usage', 'the administrator needs a name of their own', {
      hint: 'letters, digits and . _ @ / + - without spaces, e.g. ana',
    });
  }
  const id =
    /^[a-z][a-z0-9._-]*$/.test(admin) && !/^(true|false|null)$/.test(admin) ? admin : JSON.stringify(admin);
  const email = adminEmail === undefined ? '' : `    email: ${JSON.stringify(adminEmail)}\n`;
  return `# Who exists, what can be reached, who is on call when, who may be asked.
# The policies decide what of it is allowed. After a change: oncall broker check

# Groups that the starter policies know:
#   sre            may break the glass
#   leads          approve, and revoke while on call
#   security       reads the audit log, revokes
#   oncall-admins  invite people, manage devices, revoke, read the audit log
# A group named like a service is that service's team: it may ask while an incident is open.
groups: [sre, leads, security, oncall-admins, orders]

people:
  ${id}:
    name: ${JSON.stringify(adminName)}
${email}    groups: [sre, leads, oncall-admins]
  # EXAMPLES: replace them by your people.
  example-engineer:
    name: Example Engineer
    email: engineer@example.com
    groups: [sre, orders]
    manager: example-lead
    # ids: { pagerduty: PABC123 } # who this is at which source, never guessed by e-mail
  example-lead:
    name: Example Lead
    email: lead@example.com
    groups: [leads, security]

# Where shifts and incidents come from. Secrets are read from { file: … } or { env: … }, never written here.
# sources:
#   pagerduty:
#     type: pagerduty # or jsm, incidentio, ical, rootly, alertmanager
#     token: { file: secrets/pagerduty-token }
#     webhookSecrets: [{ file: secrets/pagerduty-webhook }]
#     poll: 60s
#     # What a shift is worth by its age: fully, then to ask with only, then nothing.
#     staleness: { fresh: 10m, usable: 24h }
#     priorities: { SEV-1: P1 }
#   alertmanager: # not trusted unless it says so: opens the narrowest role alone
#     type: alertmanager
#     bearer: { file: secrets/alertmanager }

# Times are local to the schedule's zone. Handover keeps its time of day across daylight saving.
schedules:
  orders-primary:
    timeZone: Etc/UTC
    rotations:
      - { level: 1, people: [${id}], startsAt: 2026-01-05T09:00, every: 7d }
      - { level: 2, people: [example-engineer], startsAt: 2026-01-05T09:00, every: 7d }
    # overrides:
    #   - { level: 1, user: example-engineer, startsAt: 2026-02-01T09:00, endsAt: 2026-02-02T09:00 }
  # payments-primary: # instead of rotations: a source knows
  #   from: { source: pagerduty, id: PSCHED1 }

# Being on call on one of these schedules is being on call for the service's resources.
services:
  orders:
    schedules: [orders-primary]
    # ids: { pagerduty: PSVC123, alertmanager: orders } # what sources call it
    # bundle: orders-incident # what its incidents open where no automation rule matches

resources:
  # EXAMPLE. "oncall broker target db-replica" prints what the database's admin does.
  db-replica:
    description: Orders database, read replica
    type: postgres
    service: orders
    environment: production
    sensitivity: medium
    session: { default: 2h, max: 4h, maxExtensions: 4 }
    credential: 10m
    phase: 1 # 2 when it counts, 3 with automation: "oncall rollout" says what is missing
    breakGlass: { roles: [read], window: 1h, max: 2h } # twoPerson: true asks a second person
    connection: { host: 127.0.0.1, port: 5432, database: orders, sslMode: verify-full, ca: pg-ca.pem }
    broker: { user: oncall_broker, password: { file: secrets/db-replica } }
    quarantineRole: oncall_quarantine
    roles: # narrowest first; the first is the default
      read: { template: oncall_tpl_read }
      write: { template: oncall_tpl_write }

  # EXAMPLE. "oncall broker target db-host" prints the lines for sshd_config.
  db-host:
    description: Host of the orders database
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    hosts:
      - name: db-host-1
        host: 127.0.0.1
        port: 22
        hostKeys: ["${EXAMPLE_HOST_KEY}"]
    roles:
      operator: { login: ops }
    breakGlass: { roles: [operator] }

# Opened together by one request, shift or alert.
# bundles:
#   orders-incident:
#     targets: [db-replica, "db-host:operator"]

# What opens by itself, for whoever is on call at this level or a better one. The policy still decides.
# automation:
#   orders-shift:
#     on: { shift: orders-primary }
#     bundle: orders-incident
#   orders-alert:
#     on: { alert: { service: orders, priority: [P1, P2] } }
#     maxLevel: 2
#     bundle: orders-incident

# How long what was opened outlives its incident, and its shift.
# grace: { incident: 10m, shift: 10m }

# Who is asked. Approvers: PERSON, group:GROUP, manager, "schedule:SCHEDULE level 1" (or without level).
approvals:
  leads: { approvers: [group:leads], expires: 1h }
  # Stages follow each other when nobody answers; whoever was asked before may still say yes.
  # urgent:
  #   stages:
  #     - { approvers: ["schedule:orders-primary level 2"], wait: 5m }
  #     - parties: # one of each
  #         - { approvers: [group:leads] }
  #         - { approvers: [group:security, manager] }
  #       wait: 10m
  #       then: deny # or auto-override, where a rule permits it: opens a review

# Who closes reviews, and by when.
# reviews: { owners: [manager, group:security], due: 72h }

# Who hears of each break-glass, on two channels below that do not fail together.
breakGlass:
  notify: [group:leads, group:security]
  # webhook: { url: https://hooks.example.com/break-glass, secret: { file: secrets/break-glass } } # told by devices themselves
  # cover: 12h # for how long a device can do without the broker

# EXAMPLES: replace them by your channels. Without "notices" a channel gets all of them.
notify:
  mail: { type: email, host: 127.0.0.1, port: 25, from: oncall@example.com, notices: [break-glass] }
  on-call-channel:
    type: slack # or email, webhook, pagerduty-events
    webhook: { file: secrets/slack-webhook }
    notices: [break-glass] # approval, settled, opened, ending, override, review, alarm
`;
}
