/** A catalogue that uses every section. */
export const completeYaml = `groups: [sre, dba]
people:
  ana: { name: Ana Ruiz, email: ana@example.com, ids: { pagerduty: PABC }, groups: [sre], manager: carla }
  ben: { name: Ben Okri, groups: [dba] }
  carla: { name: Carla Weiss }

schedules:
  orders-primary:
    timeZone: Europe/Berlin
    rotations:
      - { level: 1, people: [ana, ben], startsAt: 2026-01-05T09:00, every: 7d }
    overrides:
      - { level: 1, user: carla, startsAt: 2026-02-01T09:00, endsAt: 2026-02-02T09:00 }

  payments-primary:
    from: [{ source: pagerduty, id: PSCHED1 }, { source: calendar, level: 2 }]

services:
  orders: { schedules: [orders-primary], bundle: orders, ids: { pagerduty: PSVC1, alertmanager: orders } }
  payments: { schedules: [payments-primary], ids: { pagerduty: [PSVC2, PSVC3] } }

resources:
  db-replica:
    type: postgres
    service: orders
    environment: production
    sensitivity: medium
    defaultRole: read
    description: Orders database, read replica
    session: { default: 1h, max: 3h, maxExtensions: 2 }
    credential: 5m
    phase: 2
    breakGlass: { roles: [read], window: 30m, max: 2h, twoPerson: true }
    connection: { host: 127.0.0.1, port: 5433, database: orders, sslMode: verify-full, ca: pg-ca.pem }
    broker: { user: oncall_broker, password: { file: secrets/db-replica } }
    quarantineRole: oncall_quarantine
    roles:
      read: { template: oncall_tpl_read }
      write: { template: oncall_tpl_write }

  db-host:
    type: ssh
    service: orders
    environment: staging
    sensitivity: low
    hosts:
      - { name: db-host-1, host: 10.0.0.5, hostKeys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4 root@db"] }
    roles:
      operator: { login: ops, sourceAddress: 10.0.0.0/8 }

  shop-db:
    type: mariadb
    service: orders
    environment: production
    sensitivity: high
    connection: { host: shop.example.com, port: 3307, database: shop, ca: shop-ca.pem }
    broker: { user: oncall_broker, password: { file: secrets/shop-db } }
    maxAccounts: 40
    roles:
      read: { grant: shop_readers }
      write: { grant: shop_writers, description: All tables }

  cache:
    type: redis
    service: orders
    environment: production
    sensitivity: medium
    connection: { host: cache.example.com, port: 6380, ca: redis-ca.pem }
    broker: { user: oncall_broker, password: { env: CACHE_PASSWORD } }
    roles:
      read: { rules: ["+@read", "-keys", "~orders:*", "&news"] }
      write: { rules: ["+@all", "-@admin", "-@dangerous", "~*"], description: All keys }

approvals:
  leads: { approvers: [carla, group:dba], expires: 30m }
  urgent:
    stages:
      - { approvers: ["schedule:orders-primary level 1"], wait: 5m }
      - parties: [{ approvers: [group:sre, manager] }, { approvers: [ben, carla], need: 1 }]
        wait: 10m
        then: auto-override

sources:
  pagerduty:
    type: pagerduty
    url: https://api.eu.pagerduty.com
    token: { file: secrets/pagerduty }
    webhookSecrets: [{ env: PD_WEBHOOK }, { file: secrets/pd-old }]
    poll: 30s
    staleness: { fresh: 5m, usable: 12h }
    priorities: { SEV-1: P1 }
  calendar: { type: ical, feed: { file: secrets/calendar } }
  incidents: { type: incidentio, webhookSecrets: [{ env: IIO }] }
  ops: { type: jsm, url: "https://api.atlassian.com/jsm/ops/api/cloud-1", user: bot@example.com, token: { env: JSM } }
  rootly: { type: rootly, webhookSecrets: [{ env: ROOTLY }] }
  alertmanager: { type: alertmanager, bearer: { file: secrets/am }, clientCertificate: { ca: am-ca.pem, names: [am] } }

bundles:
  orders: { targets: [db-replica, "db-host:operator"], description: Everything for orders }

automation:
  orders-shift: { on: { shift: orders-primary }, bundle: orders }
  orders-alert:
    on: { alert: { service: orders, priority: [P1, P2], labels: { team: orders } } }
    maxLevel: 2
    bundle: orders

grace: { incident: 15m, shift: 5m }
reviews: { owners: [carla, group:dba], due: 24h }
breakGlass:
  notify: [carla, "group:sre"]
  webhook: { url: "https://hooks.example.com/break-glass", secret: { file: secrets/break-glass } }
  cover: 10h

notify:
  chat: { type: slack, webhook: { file: secrets/slack }, notices: [override, approval] }
  mail: { type: email, host: mail.example.com, user: oncall, password: { env: MAIL }, from: oncall@example.com }
  hook: { type: webhook, url: "https://hooks.example.com/oncall", secret: { file: secrets/hook } }
  events: { type: pagerduty-events, routingKey: { file: secrets/events } }
`;
