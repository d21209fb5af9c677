// An installation as an operator makes it: `oncall broker init`, files edited by hand, `oncall broker serve` over TLS, and
// people who enrolled by pasting an invitation. Everything goes through the spawned command line; nothing here knows the
// product's functions.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { atEnd } from '../support/at-end.ts';
import { objectsIn } from '../support/outputs.ts';
import { type CliOptions, type CliResult, runCli, startCli, type TestProcess } from '../support/process.ts';
import { freePort, tempDir, waitFor } from '../support/temp.ts';

export type Json = Record<string, unknown>;

export interface World {
  /** The broker's folder. */
  directory: string;
  port: number;
  url: string;
  /** `oncall broker …` on the broker's host; the folder is in ONCALL_BROKER_DIR. */
  operator(args: string, options?: CliOptions): Promise<CliResult>;
  /** `oncall …` on a person's own machine. Words are separated by spaces; `more` follows as it is. */
  as(user: string, args: string, options?: CliOptions, more?: readonly string[]): Promise<CliResult>;
  /** The same with --json: it must succeed, and gives what it printed. */
  json<T = Json>(user: string, args: string, options?: CliOptions): Promise<T>;
  home(user: string): string;
  /** The URL that a person pastes. */
  invite(user: string): Promise<string>;
  enroll(...users: string[]): Promise<void>;
  write(file: string, text: string): void;
  read(file: string): string;
  serve(options?: CliOptions): Promise<TestProcess>;
  /** SIGTERM to the broker that serves, and its end. */
  stop(): Promise<void>;
  /** The broker that serves, or served last. */
  broker(): TestProcess;
  /** SIGHUP, and the log line that answers it. */
  reload(answer: string | RegExp): Promise<void>;
}

/** `broker init` for dora, then our catalogue in place of the starter's. Serves nothing yet. */
export async function createWorld(catalogue: string): Promise<World> {
  const directory = join(tempDir(), 'broker');
  const port = await freePort();
  const url = `https://localhost:${port}`;
  const homes = new Map<string, string>();
  const home = (user: string) => {
    const known = homes.get(user) ?? tempDir();
    homes.set(user, known);
    return known;
  };
  let broker: TestProcess | undefined;
  const running = () => {
    if (broker === undefined) throw new Error('no broker was started');
    return broker;
  };

  const world: World = {
    directory,
    port,
    url,
    home,
    operator: (args, options = {}) =>
      runCli(args.split(' '), {
        home: home('operator'),
        ...options,
        env: { ONCALL_BROKER_DIR: directory, ...options.env },
      }),
    as: (user, args, options = {}, more = []) =>
      runCli([...args.split(' '), ...more], { home: home(user), ...options }),
    async json<T>(user: string, args: string, options: CliOptions = {}) {
      return succeeded(await world.as(user, `${args} --json`, options)).json() as T;
    },
    async invite(user) {
      const { url: invitation } = succeeded(await world.operator(`broker invite ${user} --json`)).json() as {
        url: string;
      };
      return invitation;
    },
    async enroll(...users) {
      const enrolOne = async (user: string) =>
        succeeded(await world.as(user, `enroll ${await world.invite(user)} --keystore file`));
      await Promise.all(users.map(enrolOne));
    },
    write(file, text) {
      writeFileSync(join(directory, file), text, { mode: 0o600 });
    },
    read: (file) => readFileSync(join(directory, file), 'utf8'),
    async serve(options = {}) {
      broker = startCli(['broker', 'serve', directory], { home: home('operator'), ...options });
      await broker.waitForOutput('"serving"', { timeoutMs: 20_000 });
      return broker;
    },
    async stop() {
      running().kill('SIGTERM');
      expect(await running().ended).toEqual({ code: 0, signal: null });
    },
    broker: running,
    async reload(answer) {
      const from = running().output().length;
      running().kill('SIGHUP');
      await running().waitForOutput(answer, { from });
    },
  };

  const init = ['broker', 'init', directory, '--admin', 'dora', '--public-url', url];
  succeeded(await runCli([...init, '--listen', `127.0.0.1:${port}`], { home: home('operator') }));
  mkdirSync(join(directory, 'secrets'), { mode: 0o700 });
  world.write('catalogue.yaml', catalogue);
  atEnd(() => broker?.stop());
  return world;
}

/** Fails with both streams if the command did. */
export function succeeded(result: CliResult): CliResult {
  const { code, signal, stdout, stderr } = result;
  if (code !== 0) throw new Error(`ended with ${code ?? signal}:\n${stdout}${stderr}`);
  return result;
}

/** The code in a JSON error. */
export function errorOf({ stderr }: CliResult): string {
  const values = objectsIn(stderr) as { schema: string; code: string }[];
  return values.find(({ schema }) => schema === 'oncall.error/v1')?.code ?? '';
}

/** Waits until a command gives this exit code. */
export async function waitForCode(
  run: () => Promise<CliResult>,
  code: number,
  what: string,
): Promise<CliResult> {
  let last: CliResult | undefined;
  await waitFor(
    async () => {
      last = await run();
      return last.code === code;
    },
    { what: `exit ${code}: ${what}`, timeoutMs: 30_000 },
  );
  return last as CliResult;
}

/** ana is on call for orders, ben is of the team, carla approves, dora administers, sam does security. */
export const PEOPLE = `
groups: [sre, orders, security, leads, oncall-admins]
people:
  ana: { name: Ana Ruiz, groups: [sre], manager: carla }
  ben: { name: Ben Osei, groups: [orders], manager: carla }
  carla: { name: Carla Maes, groups: [leads] }
  dora: { name: Dora Lind, groups: [oncall-admins] }
  sam: { name: Sam Bell, groups: [security] }
services:
  orders: { schedules: [orders-primary] }
schedules:
  orders-primary:
    timeZone: Europe/Berlin
    rotations:
      - { level: 1, people: [ana], startsAt: 2026-01-05T09:00, every: 7d }
approvals:
  leads: { approvers: [carla], expires: 1h }
`;

export interface Address {
  host: string;
  port: number;
}

/** db-replica of the catalogue, at this address. */
export function postgresResource({ host, port, caFile }: Address & { caFile: string }): string {
  return `
  db-replica:
    type: postgres
    service: orders
    environment: production
    sensitivity: medium
    session: { default: 2h, max: 4h, maxExtensions: 4 }
    credential: 10m
    connection: { host: ${host}, port: ${port}, database: orders, sslMode: verify-full, ca: ${JSON.stringify(caFile)} }
    broker: { user: oncall_broker, password: { file: secrets/db-replica } }
    quarantineRole: oncall_quarantine
    roles:
      read: { template: oncall_tpl_read }
      write: { template: oncall_tpl_write }
`;
}

/** db-host of the catalogue. */
export function sshResource({ host, port }: Address, login: string, hostKey: string): string {
  return `
  db-host:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    hosts:
      - { name: db-host-1, host: ${host}, port: ${port}, hostKeys: ["${hostKey.split(' ').slice(0, 2).join(' ')}"] }
    roles:
      operator: { login: ${login} }
`;
}

/** The host key of a host that is nowhere. */
export const NO_HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4';
