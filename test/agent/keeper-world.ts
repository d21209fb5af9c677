// The keeper in this process, beside a real broker, both by a clock that the test moves: nothing here waits for time to pass.

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Keeper, type KeeperInput, startKeeper } from '../../src/agent/keeper.ts';
import { type AgentLog, openLog } from '../../src/agent/log.ts';
import type { RunningBroker } from '../../src/broker/broker.ts';
import { askRequest } from '../../src/client/calls.ts';
import { type Client, openClient } from '../../src/client/client.ts';
import type { ClientContext } from '../../src/client/context.ts';
import { enroll } from '../../src/client/enroll.ts';
import { startHearing } from '../../src/client/hearing.ts';
import { ensureCredentials } from '../../src/client/hold.ts';
import { grantFolder } from '../../src/client/session-paths.ts';
import { readStatusFile, type StatusGrant } from '../../src/client/status-file.ts';
import type { GrantView } from '../../src/protocol/messages.ts';
import { testContext } from '../client/fixture.ts';
import { atEnd } from '../support/at-end.ts';
import { enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install, PEOPLE } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
const STEP_MS = 30_000;

/** Access for an incident, renewed while that is open; extended and asked by whoever the test's rules name. */
export const POLICY = `
@id("grant") permit (principal, action == Action::"grant", resource) when {
  context.incident.known && context.incident.value.open };
@id("renew") @because("the incident is over") permit (principal, action == Action::"renew", resource) when {
  context.incident.known && context.incident.value.open };
@id("approve") permit (principal, action == Action::"approve", resource)
  when { context.beneficiary.known && context.beneficiary.value != principal };
@id("incidents") permit (principal, action in [Action::"declare-incident", Action::"resolve-incident"], resource);
@id("admins") permit (principal in Group::"oncall-admins", action in [Action::"invite", Action::"revoke",
  Action::"manage-device", Action::"read-audit"], resource);
`;
export const EXTEND = `@id("extend") permit (principal, action == Action::"extend", resource);`;
export const ASK = `@id("ask") @chain("leads") permit (principal, action == Action::"ask", resource);`;

const CATALOGUE = `${PEOPLE}
grace: { incident: 1s }
resources:
  db-host:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    session: { default: 2h, max: 4h, maxExtensions: 4 }
    credential: 4m
    hosts:
      - { name: db-host-1, host: 127.0.0.1, port: 1, hostKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4] }
    roles:
      operator: { login: ops }
`;

/** Nobody but the agent makes windows longer for ana. */
export const NOT_ON_CALL = { catalogue: CATALOGUE.replace('people: [ana]', 'people: [ben]') };

export interface KeeperWorld {
  readonly at: { now: number; monotonic: number; uptime: number };
  readonly installation: Installation;
  broker: RunningBroker;
  readonly dora: TestDevice;
  readonly carla: TestDevice;
  readonly context: ClientContext;
  readonly client: Client;
  readonly told: { title: string; text: string }[];
  /** Lines of the log, parsed. */
  readonly lines: Record<string, unknown>[];
  events(name: string): Record<string, unknown>[];
  /** A grant of ana's with a credential here. */
  hold(): Promise<GrantView>;
  keep(more?: Partial<KeeperInput>): Keeper & { stop(): Promise<void> };
  /** Time passes for everybody, a little at a time; the keeper looks each time. */
  pass(ms: number, keeper: Keeper): Promise<void>;
  /** The machine sleeps for so long, and wakes up. */
  sleep(ms: number, keeper: Keeper): Promise<void>;
  serve(): Promise<void>;
  status(grantId: string): StatusGrant | undefined;
  isHeld(grantId: string): boolean;
  logged(event: string, count?: number): Promise<void>;
}

export async function startKeeperWorld({
  policy = POLICY + EXTEND,
  catalogue = CATALOGUE,
  env = {},
}: {
  policy?: string;
  catalogue?: string;
  env?: Record<string, string>;
} = {}): Promise<KeeperWorld> {
  const at = { now: Date.now(), monotonic: 0, uptime: 0 };
  const now = () => at.now;
  const installation = await install({ catalogue, policy, now });
  const context = testContext({ now, env });
  const broker = await installation.start({ now });
  const invitation = await installation.invite('ana');
  await enroll(context, { invitation, deviceName: 'laptop', keystore: 'file', ca: 'pinned' });
  const client = await openClient(context);
  atEnd(() => client.broker.close());
  const clock = () => Math.floor(at.now / 1000);
  const [dora, carla] = [
    await enrolled(installation, 'dora', clock),
    await enrolled(installation, 'carla', clock),
  ];
  await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
  const told: KeeperWorld['told'] = [];
  const lines: Record<string, unknown>[] = [];
  const log: AgentLog = openLog(join(context.paths.stateDir, 'agent.log'), now, (line) =>
    lines.push(JSON.parse(line) as Record<string, unknown>),
  );

  const world: KeeperWorld = {
    ...{ at, installation, broker, dora, carla, context, client, told, lines },
    events: (name) => lines.filter(({ event }) => event === name),
    async hold() {
      const request = await askRequest(client.broker, {
        targets: [{ resource: 'db-host' }],
        incident: 'P1-1',
      });
      await ensureCredentials(client, request.grants);
      return request.grants[0]!;
    },
    keep(more = {}) {
      const ending = new AbortController();
      const keeper = startKeeper({
        ...{ client, log, graceMs: 60_000, random: () => 0.5, network: () => '', isBusy: () => false },
        clocks: { now, monotonic: () => at.monotonic, uptime: () => at.uptime },
        notify: (title, text) => void told.push({ title, text }),
        signal: ending.signal,
        // Its heartbeats come by the real clock.
        hear: (signal) => startHearing({ broker: client.broker, now: Date.now, signal }),
        reconnect: () => {},
        ...more,
      });
      const stop = async () => {
        ending.abort();
        await keeper.ended;
      };
      atEnd(stop);
      return Object.defineProperties({ stop }, Object.getOwnPropertyDescriptors(keeper)) as typeof keeper & {
        stop(): Promise<void>;
      };
    },
    async pass(ms, keeper) {
      for (let left = ms; left > 0; left -= STEP_MS) {
        const step = Math.min(left, STEP_MS);
        at.now += step;
        at.monotonic += step;
        at.uptime += step;
        await keeper.wake();
      }
    },
    async sleep(ms, keeper) {
      at.now += ms;
      at.uptime += ms;
      await keeper.wake();
    },
    async serve() {
      world.broker = await installation.start({ now });
    },
    status: (grantId) => readStatusFile(context.paths)?.grants.find(({ id }) => id === grantId),
    isHeld: (grantId) => existsSync(grantFolder(context.paths, grantId)),
    logged: async (event, count = 1) =>
      void (await waitFor(() => world.events(event).length >= count, {
        what: `${event} among ${JSON.stringify(lines)}`,
      })),
  };
  return world;
}
