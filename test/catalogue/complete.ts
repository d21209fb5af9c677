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

services: { orders: { schedules: [orders-primary] } }

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
approvals:
  leads: { approvers: [carla, group:dba], expires: 30m }
`;
