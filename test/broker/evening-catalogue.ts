// Who is on call on the evenings of these tests, what they reach, and what pages them.
import { withSsh } from './ssh-catalogue.ts';

/** Ana and Ben take turns of a day at level 1, Carla is at level 2; Ana and Carla are known to the pager, Ben is not. */
export function eveningCatalogue(more = ''): string {
  return `${withSsh()
    .replace('ana: { name: Ana Ruiz,', 'ana: { name: Ana Ruiz, ids: { pagerduty: PANA },')
    .replace('carla: { name: Carla Maes,', 'carla: { name: Carla Maes, ids: { pagerduty: PCARLA },')
    .replace(
      'orders: { schedules: [orders-primary] }',
      'orders: { schedules: [orders-primary], bundle: small, ids: { pagerduty: PSVC1, alertmanager: PSVC1, guest: PSVC1 } }',
    )
    .replace(
      /rotations:\n.*\n/,
      `rotations:
      - { level: 1, people: [ana, ben], startsAt: 2026-01-05T09:00, every: 1d }
      - { level: 2, people: [carla], startsAt: 2026-01-05T09:00, every: 7d }
`,
    )}
  db-web:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    session: { default: 1h, max: 3h, maxExtensions: 2 }
    credential: 5m
    hosts: [{ name: db-web-1, host: 127.0.0.1, port: 1, hostKeys: ["${HOST_KEY}"] }]
    roles: { shell: { login: ops }, root: { login: root } }
sources:
  pagerduty: { type: pagerduty, webhookSecrets: [{ env: PD }], trusted: true }
  alertmanager: { type: alertmanager, bearer: { env: AM }, trusted: true }
  guest: { type: alertmanager, bearer: { env: AM } }
bundles:
  small: { targets: ["db-host:shell"] }
  wide: { targets: ["db-host:shell", "db-web:shell"] }
  deep: { targets: ["db-web:root"] }
${more}`;
}

const HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4';

/** Root as well, while a P1 that somebody else declared is open. */
export const ROOT_AT_P1 = `
@id("root-at-p1")
@because("a P1 is open and you are on call")
permit (principal, action == Action::"grant", resource)
when {
  context.shift.known && context.shift.value.coversResource &&
  context.incident.known && context.incident.value.open && context.incident.value.matchesResource &&
  context.incident.value.priority == "P1" && context.request.durationSeconds <= resource.maxSeconds
};`;

/** The evening's catalogue with who is on call read from a calendar (`env: CALENDAR`), whose events are called by people's ids. */
export function fromCalendar(more = ''): string {
  return eveningCatalogue(more)
    .replace(
      /timeZone: Europe\/Berlin\n {4}rotations:\n(.*\n){2}/,
      'from: [{ source: calendar, level: 1 }]\n',
    )
    .replace('ids: { pagerduty: PANA }', 'ids: { pagerduty: PANA, calendar: ana }')
    .replace('ben: { name: Ben Osei,', 'ben: { name: Ben Osei, ids: { calendar: ben, pagerduty: PBEN },')
    .replace('\nsources:', '\nsources:\n  calendar: { type: ical, feed: { env: CALENDAR } }');
}
