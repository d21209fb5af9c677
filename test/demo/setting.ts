// What the demo's people and database are like.

import type { MoreServer } from '../support/more-servers.ts';
import type { PostgresServer } from '../support/postgres-server.ts';

/** The roles that `oncall broker target db-replica` asks for, and a table to look at. */
export const TARGET_SQL = (password: string): string => `
  CREATE TABLE orders (id int PRIMARY KEY, state text);
  INSERT INTO orders SELECT n, 'open' FROM generate_series(1, 42) n;
  CREATE ROLE oncall_broker LOGIN CREATEROLE PASSWORD '${password}';
  GRANT pg_signal_backend TO oncall_broker;
  CREATE ROLE oncall_quarantine NOLOGIN;
  GRANT oncall_quarantine TO oncall_broker WITH INHERIT TRUE, SET TRUE;
  CREATE ROLE oncall_tpl_read NOLOGIN;
  GRANT USAGE ON SCHEMA public TO oncall_tpl_read;
  GRANT SELECT ON orders TO oncall_tpl_read;
  CREATE ROLE oncall_tpl_write NOLOGIN;
  GRANT USAGE ON SCHEMA public TO oncall_tpl_write;
  GRANT SELECT, INSERT, UPDATE ON orders TO oncall_tpl_write;
  GRANT oncall_tpl_read, oncall_tpl_write TO oncall_broker WITH ADMIN OPTION, INHERIT FALSE, SET FALSE;`;

/** Nobody logs in there: what nobody uses costs nothing to open. */
const HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4';

export const demoCatalogue = (
  { port, caFile }: PostgresServer,
  more: readonly MoreServer[],
  webhookUrl: string,
): string => `
groups: [sre, security, leads, oncall-admins]
people:
  ana: { name: Ana Ruiz, groups: [sre], manager: carla }
  carla: { name: Carla Maes, groups: [sre] }
  dora: { name: Dora Lind, groups: [oncall-admins, security] }
sources:
  alertmanager: # not trusted: by itself it opens the narrowest role alone
    type: alertmanager
    bearer: { file: secrets/alertmanager }
    priorities: { critical: P1 }
services:
  orders: { schedules: [orders-primary], ids: { alertmanager: orders } }
schedules:
  orders-primary:
    timeZone: Europe/Berlin
    rotations:
      - { level: 1, people: [ana], startsAt: 2026-01-05T09:00, every: 7d }
resources:
  db-replica:
    description: Orders database, read replica
    type: postgres
    service: orders
    environment: production
    sensitivity: medium
    defaultRole: read
    session: { default: 2h, max: 4h, maxExtensions: 4 }
    credential: 10m
    connection: { host: 127.0.0.1, port: ${port}, database: orders, sslMode: verify-full, ca: ${JSON.stringify(caFile)} }
    broker: { user: oncall_broker, password: { file: secrets/db-replica } }
    quarantineRole: oncall_quarantine
    breakGlass: { roles: [read] }
    roles:
      read: { template: oncall_tpl_read }
      write: { template: oncall_tpl_write }
  orders-db:
    description: The same, for whoever has twenty seconds at a time
    type: postgres
    service: orders
    environment: production
    sensitivity: medium
    defaultRole: read
    session: { default: 2h, max: 4h, maxExtensions: 4 }
    credential: 20s
    connection: { host: 127.0.0.1, port: ${port}, database: orders, sslMode: verify-full, ca: ${JSON.stringify(caFile)} }
    broker: { user: oncall_broker, password: { file: secrets/db-replica } }
    quarantineRole: oncall_quarantine
    roles:
      read: { template: oncall_tpl_read }
${more.map(moreResource).join('')}  db-host:
    description: Host of the orders database
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    hosts:
      - { name: db-host-1, host: 127.0.0.1, port: 22, hostKeys: ["${HOST_KEY}"] }
    roles:
      operator: { login: ops }
bundles:
  orders-tools: { targets: [${['orders-db', ...more.map(({ kind }) => MORE[kind].resource)].join(', ')}] }
  orders-incident: { targets: [db-replica, "db-host:operator"] }
automation:
  orders-down:
    on: { alert: { service: orders, priority: P1, labels: { alertname: OrdersDown } } }
    bundle: orders-incident
grace: { incident: 5s }
reviews: { owners: [dora] }
breakGlass: { notify: [carla, dora] }
notify:
  chat: { type: slack, webhook: { file: secrets/chat }, notices: [break-glass, review] }
  hook: { type: webhook, url: "${webhookUrl}", secret: { file: secrets/hook }, notices: [break-glass, review] }
approvals:
  leads:
    stages:
      - { approvers: [carla], wait: 2s }
      - { approvers: [dora] }
`;

/** What the targets that join where their servers are installed are called, and the client that people use there. */
export const MORE = {
  mariadb: { resource: 'billing', client: ['mariadb', '-BNe', 'select current_user()'], yaml: mariadbYaml },
  redis: { resource: 'cache', client: ['redis-cli', 'get', 'answer'], yaml: redisYaml },
} as const;

function mariadbYaml(port: number): string {
  return `    connection: { host: 127.0.0.1, port: ${port}, database: orders, sslMode: disable }
    roles:
      read: { grant: readers }
`;
}

function redisYaml(port: number): string {
  return `    connection: { host: 127.0.0.1, port: ${port}, tls: false }
    roles:
      read: { rules: ["+@read", "~*"] }
`;
}

function moreResource({ kind, port }: MoreServer): string {
  const { resource, yaml } = MORE[kind];
  return `  ${resource}:
    type: ${kind}
    service: orders
    environment: production
    sensitivity: medium
    credential: 20s
    broker: { user: oncall_broker, password: { file: secrets/${resource} } }
${yaml(port)}`;
}
