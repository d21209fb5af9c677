// The broker under measurement: our own command line and configuration, SQLite, TLS on loopback, no live target (an SSH
// certificate needs none to be issued), and only the limit on requests raised, since all of them come from one address.
import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { brokerInvite } from '../../src/broker/commands.ts';
import { findFreePort } from '../support/postgres-server.ts';
import { atEnd, makeFolder } from './cleanup.ts';
import { plainEnvironment, runNode } from './process-times.ts';

export const ONCALL = resolve('bin', 'oncall');

/** Fresh access each time: as many pairs of person and host as all measurements together use up. */
export const PEOPLE = Array.from({ length: 8 }, (_, i) => `engineer-${i}`);
export const HOSTS = Array.from({ length: 400 }, (_, i) => `host-${i}`);
/** Who declares the incident, and who types commands. */
export const DECLARER = 'dora';
export const TYPIST = 'ana';
export const INCIDENT = 'P1-1';
/** Whose alerts open a host of their own, and for whom. */
export const ALERTED = { service: 'alerted', person: 'watcher' };
export const ALERTMANAGER_TOKEN = 'a-token-of-the-bench-that-is-long-enough';

export interface BenchBroker {
  readonly directory: string;
  readonly url: string;
  /** PEM: what a client pins. */
  readonly ca: string;
  invite(person: string): Promise<string>;
  /** What a start takes. */
  readonly startMs: number;
  stop(): Promise<void>;
  /** After `stop`. */
  start(): Promise<void>;
}

export interface BenchBrokerOptions {
  catalogue: string;
  /** By the name of the file that the catalogue reads each from. */
  secrets: Readonly<Record<string, string>>;
}

/** What the broker's commands ask of the process around them. */
export const HOST = {
  out: () => undefined,
  err: () => undefined,
  env: {},
  now: Date.now,
  signal: new AbortController().signal,
  program: ['node', 'oncall'],
  onReload: () => undefined,
};
const START_MS = 30_000;
const HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4';

export async function startBenchBroker(
  { catalogue, secrets }: BenchBrokerOptions = {
    catalogue: benchCatalogue(),
    secrets: { alertmanager: ALERTMANAGER_TOKEN },
  },
): Promise<BenchBroker> {
  const folder = makeFolder('broker');
  const directory = join(folder, 'broker');
  const env = plainEnvironment({ ONCALL_HOME: join(folder, 'home') });
  const listen = `127.0.0.1:${await findFreePort()}`;
  const url = `https://${listen}`;
  const oncall = (...args: string[]) => runNode([ONCALL, ...args], env).stdout;
  oncall('broker', 'init', directory, '--admin', DECLARER, '--public-url', url, '--listen', listen);
  writeFileSync(join(directory, 'catalogue.yaml'), catalogue, { mode: 0o600 });
  for (const [name, secret] of Object.entries(secrets))
    writeFileSync(join(directory, name), secret, { mode: 0o600 });
  const configFile = join(directory, 'broker.yaml');
  const unlimited = readFileSync(configFile, 'utf8').replace(
    /requestsPerSecond: \d+/,
    'requestsPerSecond: 1000000',
  );
  writeFileSync(configFile, unlimited, { mode: 0o600 });
  const start = () => serve(directory, join(folder, 'log'), env);
  const begunAt = performance.now();
  let stop = await start();
  const startMs = performance.now() - begunAt;
  return {
    directory,
    url,
    ca: readFileSync(join(directory, 'keys', 'identity.crt'), 'utf8'),
    async invite(person) {
      const { data } = await brokerInvite({ directory, user: person, forSeconds: 3600 }, HOST);
      return (data as { url: string }).url;
    },
    startMs,
    stop: () => stop(),
    async start() {
      stop = await start();
    },
  };
}

/** Resolves when it serves, to how to stop it. */
async function serve(
  directory: string,
  logFile: string,
  env: Readonly<NodeJS.ProcessEnv>,
): Promise<() => Promise<void>> {
  const log = openSync(logFile, 'w', 0o600);
  const child = spawn(process.execPath, [ONCALL, 'broker', 'serve', directory], {
    env: { ...env },
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const gone = new Promise<void>((done) => child.once('exit', () => done()));
  const stop = async () => {
    child.kill('SIGTERM');
    await gone;
  };
  atEnd(stop);
  const written = () => readFileSync(logFile, 'utf8');
  for (const deadline = performance.now() + START_MS; !written().includes('"serving"'); await delay(20)) {
    if (child.exitCode !== null || performance.now() > deadline)
      throw new Error(`the broker did not start:\n${written()}`);
  }
  return stop;
}

/** Everybody is always on call, each on a schedule of their own; every host is of one service. */
export function benchCatalogue(): string {
  const engineers = [...PEOPLE, TYPIST, ALERTED.person];
  const lines = (of: readonly string[], line: (name: string) => string) => of.map(line).join('\n');
  return `
groups: [sre, leads, security, oncall-admins]
people:
  ${DECLARER}: { name: Dora Lind, groups: [leads, oncall-admins] }
${lines(engineers, (name) => `  ${name}: { name: ${name}, groups: [sre] }`)}
services:
  orders: { schedules: [${engineers.join(', ')}] }
  ${ALERTED.service}: { schedules: [${ALERTED.person}], ids: { alertmanager: ${ALERTED.service} } }
sources:
  alertmanager: { type: alertmanager, bearer: { file: alertmanager } }
schedules:
${lines(
  engineers,
  (name) => `  ${name}:
    timeZone: Europe/Berlin
    rotations:
      - { level: 1, people: [${name}], startsAt: 2026-01-05T09:00, every: 7d }`,
)}
resources:
${lines(
  [...HOSTS, ALERTED.service],
  (name) => `  ${name}:
    type: ssh
    service: ${name === ALERTED.service ? name : 'orders'}
    environment: production
    sensitivity: medium
    hosts:
      - { name: ${name}, host: 127.0.0.1, port: 1, hostKeys: ["${HOST_KEY}"] }
    roles:
      operator: { login: ops }`,
)}
bundles:
  alert: { targets: [${ALERTED.service}] }
automation:
  alert: { on: { alert: { service: ${ALERTED.service} } }, bundle: alert }
approvals:
  leads: { approvers: [${DECLARER}], expires: 1h }
`;
}
