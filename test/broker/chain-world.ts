// An installation for approval chains: each role of the one resource is asked on the chains that are named like it, and time
// passes only when a test says so.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { BrokerOptions, RunningBroker } from '../../src/broker/broker.ts';
import type { RequestView } from '../../src/protocol/messages.ts';
import { type Answer, enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';

export const MINUTE = 60_000;
const DAY = 86_400_000;

/** ana is on call, gus is not; each is asked for by role name. eli sits in both groups. Nobody is on `empty`. */
export const PEOPLE = `
groups: [security, data, oncall-admins]
people:
  ana: { name: Ana Ruiz, manager: carla }
  gus: { name: Gus Pohl }
  ben: { name: Ben Osei, email: ben@example.com }
  carla: { name: Carla Maes, groups: [data], email: carla@example.com }
  dora: { name: Dora Lind, groups: [oncall-admins, security] }
  eli: { name: Eli Berg, groups: [security, data] }
services:
  orders: { schedules: [primary] }
schedules:
  primary: { timeZone: UTC, rotations: [{ level: 1, people: [ana], startsAt: 2026-01-05T09:00, every: 7d }] }
  backup: { timeZone: UTC, rotations: [{ level: 2, people: [ben, carla], startsAt: 2026-01-05T09:00, every: 1d }] }
  empty: { timeZone: UTC, rotations: [{ level: 1, people: [ben], startsAt: 2099-01-05T09:00, every: 1d }] }
`;

export const CHAINS: Readonly<Record<string, string>> = {
  steps: '{ stages: [{ approvers: [ben], wait: 5m }, { approvers: [carla], wait: 10m }], expires: 1h }',
  pair: '{ approvers: [ben, carla, dora], need: 2, expires: 1h }',
  parties:
    '{ stages: [{ parties: [{ approvers: [group:security] }, { approvers: [group:data] }] }], expires: 1h }',
  boss: '{ approvers: [manager], expires: 1h }',
  duty: '{ approvers: ["schedule:backup level 2"], expires: 2h }',
  vain: '{ stages: [{ approvers: ["schedule:empty level 1"], wait: 5m }, { approvers: [carla] }], expires: 1h }',
  lastvain:
    '{ stages: [{ approvers: [ben], wait: 5m }, { approvers: ["schedule:empty level 1"], wait: 10m }], expires: 1h }',
  override: '{ stages: [{ approvers: [ben], wait: 5m, then: auto-override }], expires: 1h }',
  forbidden: '{ stages: [{ approvers: [ben], wait: 5m, then: auto-override }], expires: 1h }',
  second: '{ approvers: [carla], expires: 1h }',
};

/** Roles that are asked on other chains than the one of their name. */
const COMBINED: Readonly<Record<string, readonly string[]>> = {
  both: ['steps', 'boss'],
  mixed: ['override', 'second'],
};
const ROLES = [...Object.keys(CHAINS), ...Object.keys(COMBINED)];

export function catalogueWith(chains: Readonly<Record<string, string>> = CHAINS, more = ''): string {
  return `${PEOPLE}
approvals:
${Object.entries(chains)
  .map(([id, chain]) => `  ${id}: ${chain}`)
  .join('\n')}
resources:
  db:
    type: postgres
    service: orders
    environment: production
    sensitivity: medium
    defaultRole: ${ROLES[0]}
    session: { default: 2h, max: 4h, maxExtensions: 1 }
    credential: 10m
    connection: { host: 127.0.0.1, port: 1, database: orders, sslMode: disable }
    broker: { user: oncall_broker, password: { file: secrets/db } }
    quarantineRole: oncall_quarantine
    roles:
${ROLES.map((role) => `      ${role}: { template: oncall_tpl_${role} }`).join('\n')}
${more}`;
}

/** `overridable`: the roles for which policy permits auto-override. */
export function policyWith(overridable: readonly string[] = ['override', 'mixed']): string {
  const asks = ROLES.flatMap((role) =>
    (COMBINED[role] ?? [role]).map(
      (chain) => `@id("${role}-${chain}") @because("asked on ${chain}") @chain("${chain}")
permit (principal, action == Action::"ask", resource) when { resource.name == "${role}" };`,
    ),
  );
  const overrides = overridable.map(
    (role) => `@id("nobody-answered-${role}") @because("nobody answered")
permit (principal, action == Action::"auto-override", resource) when { resource.name == "${role}" };`,
  );
  return `${asks.join('\n')}
${overrides.join('\n')}
@id("approve") permit (principal, action == Action::"approve", resource);
@id("incidents") permit (principal, action in [Action::"declare-incident", Action::"resolve-incident"], resource);
@id("admins") permit (principal in Group::"oncall-admins", action in [Action::"revoke", Action::"review", Action::"read-audit", Action::"manage-device", Action::"invite"], resource);
`;
}

export type Person = 'ana' | 'gus' | 'ben' | 'carla' | 'dora' | 'eli';

export interface ChainWorld {
  installation: Installation;
  people: Record<Person, TestDevice>;
  /** Another device of ben's. */
  benAgain: TestDevice;
  broker(): RunningBroker;
  /** Milliseconds since 1970, of the broker and of every device. */
  now(): number;
  pass(ms: number): void;
  restart(between?: () => void): Promise<void>;
  post<T>(by: Person, path: string, body?: unknown): Promise<Answer<T>>;
  get<T>(by: Person, path: string): Promise<Answer<T>>;
  /** A pending request for this role, like no other before it. */
  ask(role: string, by?: Person, more?: object): Promise<RequestView>;
  show(id: string, by?: Person): Promise<RequestView>;
  approve(
    by: Person,
    request: Pick<RequestView, 'id' | 'digest'>,
    more?: object,
  ): Promise<Answer<RequestView>>;
  deny(
    by: Person,
    request: Pick<RequestView, 'id' | 'digest'>,
    reason?: string,
  ): Promise<Answer<RequestView>>;
  /** Waits until the request is as said. */
  until(id: string, is: (view: RequestView) => boolean, what: string, by?: Person): Promise<RequestView>;
  /** What the log says about one id, oldest first. */
  events(subject: string): Promise<string[]>;
}

/** It is 02:14 of a night to come, and everybody is enrolled. */
export async function startChainWorld(
  options: {
    catalogue?: string;
    /** By file name. */
    secrets?: Readonly<Record<string, string>>;
    broker?: Partial<BrokerOptions>;
  } = {},
): Promise<ChainWorld> {
  const installation = await install({
    catalogue: options.catalogue ?? catalogueWith(),
    policy: policyWith(),
  });
  mkdirSync(join(installation.directory, 'secrets'), { mode: 0o700 });
  for (const [name, secret] of Object.entries(options.secrets ?? {}))
    writeFileSync(join(installation.directory, 'secrets', name), secret, { mode: 0o600 });
  // It stands still only once everybody is enrolled.
  let nowMs = Number.NaN;
  const now = () => (Number.isNaN(nowMs) ? Date.now() : nowMs);
  let broker = await installation.start({ now, ...options.broker });
  const names: Person[] = ['ana', 'gus', 'ben', 'carla', 'dora', 'eli'];
  const devices = await Promise.all(names.map((name) => enrolled(installation, name)));
  const people = Object.fromEntries(names.map((name, at) => [name, devices[at]])) as Record<
    Person,
    TestDevice
  >;
  const benAgain = await enrolled(installation, 'ben');
  nowMs = Math.ceil(Date.now() / DAY) * DAY + (2 * 60 + 14) * MINUTE;

  let asked = 0;
  const signedAt = () => ({ createdSeconds: Math.floor(nowMs / 1000) });
  const post = <T>(by: Person, path: string, body: unknown = {}) =>
    people[by].post<T>(path, body, signedAt());
  const get = <T>(by: Person, path: string) => people[by].get<T>(path, signedAt());
  const show = async (id: string, by: Person = 'ana') => {
    const answer = await get<RequestView>(by, `/v1/requests/${id}`);
    if (answer.error) throw new Error(JSON.stringify(answer.error));
    return answer.result;
  };

  return {
    installation,
    people,
    benAgain,
    broker: () => broker,
    now,
    pass(ms) {
      nowMs += ms;
    },
    async restart(between) {
      await broker.stop();
      between?.();
      broker = await installation.start({ now, ...options.broker });
    },
    post,
    get,
    async ask(role, by = 'ana', more = {}) {
      const targets = [{ resource: 'db', role }];
      const answer = await post<RequestView>(by, '/v1/requests', {
        targets,
        reason: `${role}, number ${++asked}`,
        ...more,
      });
      if (answer.error) throw new Error(JSON.stringify(answer.error));
      return answer.result;
    },
    show,
    approve: (by, { id, digest }, more = {}) => post(by, `/v1/requests/${id}/approve`, { digest, ...more }),
    deny: (by, { id, digest }, reason = 'no') => post(by, `/v1/requests/${id}/deny`, { digest, reason }),
    until(id, is, what, by) {
      const holds = async () => {
        const view = await show(id, by);
        return is(view) && view;
      };
      return waitFor(holds, { what });
    },
    async events(subject) {
      const { result } = await get<{ entries: { entry: string }[] }>(
        'dora',
        '/v1/audit/entries?from=0&limit=1000',
      );
      const entries = result.entries.map(
        ({ entry }) => JSON.parse(entry) as { event: string; subject: Record<string, string> },
      );
      return entries
        .filter((entry) => Object.values(entry.subject).includes(subject))
        .map(({ event }) => event);
    },
  };
}
