// An installation whose clock a test moves: who is on call at night, what pages them, and what the broker makes of it.
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { RunningBroker } from '../../src/broker/broker.ts';
import type { CredentialReply, GrantList, GrantView, RequestView } from '../../src/protocol/messages.ts';
import type { GrantRow } from '../../src/store/rows.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { alertmanagerSender } from '../support/alertmanager-sender.ts';
import { atEnd } from '../support/at-end.ts';
import { type Answer, enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';
import {
  type Happening,
  pagerdutySender,
  type SentDelivery,
  type SentIncident,
  sentIncident,
} from '../support/webhook-senders.ts';
import { eveningCatalogue } from './evening-catalogue.ts';
import { sshMaterial } from './ssh-catalogue.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
/** Ana's turn: it ends at 09:00 in Berlin, 08:00 UTC. */
export const NIGHT = Date.parse('2026-03-03T02:14:00Z');
export const HANDOVER = Date.parse('2026-03-03T08:00:00Z');

export const SECRETS = { PD: 'of-the-subscription', AM: 'token-of-the-alertmanager' };
export const pagerduty = pagerdutySender(SECRETS.PD);
export const alertmanager = alertmanagerSender(SECRETS.AM);

/** Timers that wait for the world outside. */
const CREDENTIALS = new Set(['credential']);
const ON_THEIR_OWN = new Set(['credential', 'poll']);

export type Name = 'ana' | 'ben' | 'carla' | 'dora';

export interface EveningOptions {
  /** YAML of sections besides those of `eveningCatalogue`. */
  more?: string;
  catalogue?: string;
  /** Cedar, besides the starter policy. */
  policy?: string;
  people?: readonly Name[];
  startsAt?: number;
  env?: Record<string, string>;
}

export class Evening {
  readonly clock = { ms: 0 };
  readonly devices = new Map<string, TestDevice>();
  installation!: Installation;
  store!: Store;
  #broker!: RunningBroker;
  #env: Record<string, string> = {};

  static async start(options: EveningOptions = {}): Promise<Evening> {
    const evening = new Evening();
    const { clock } = evening;
    clock.ms = options.startsAt ?? NIGHT;
    const now = () => clock.ms;
    evening.#env = { ...SECRETS, ...options.env };
    const catalogue = options.catalogue ?? eveningCatalogue(options.more);
    evening.installation = await install({ catalogue, now });
    const { installation } = evening;
    const starter = installation.read('policies/starter.cedar');
    installation.write('policies/starter.cedar', starter + (options.policy ?? ''));
    evening.store = await openSqliteStore({ file: join(installation.directory, 'oncall.db'), now });
    atEnd(() => evening.store.close());
    await evening.restart();
    onTestFinished(() => evening.stop());
    for (const name of options.people ?? (['ana', 'ben', 'carla', 'dora'] as const))
      await evening.enrol(name);
    await evening.settle();
    return evening;
  }

  /** Starts the broker, after stopping it where it runs. */
  async restart(): Promise<void> {
    await this.#broker?.stop();
    this.#broker = await this.installation.start({ now: () => this.clock.ms, env: this.#env });
  }

  stop(): Promise<void> {
    return this.#broker.stop();
  }

  reload(): Promise<void> {
    return this.#broker.reload();
  }

  async enrol(name: string): Promise<TestDevice> {
    // A device's calls carry the evening's time.
    const createdSeconds = () => Math.floor(this.clock.ms / 1000);
    const device = await enrolled(this.installation, name, createdSeconds);
    this.devices.set(name, device);
    return device;
  }

  post<T>(by: string, path: string, body: unknown = {}): Promise<Answer<T>> {
    return this.#device(by).post<T>(path, body);
  }

  get<T>(by: string, path: string): Promise<Answer<T>> {
    return this.#device(by).get<T>(path);
  }

  #device(by: string): TestDevice {
    const device = this.devices.get(by);
    if (!device) throw new Error(`${by} has no device here`);
    return device;
  }

  /** Delivers what PagerDuty says of an incident, and waits for what follows from it. */
  async page(
    happening: Happening,
    incident: Partial<SentIncident> = {},
    atMs = this.clock.ms,
  ): Promise<void> {
    await this.deliver('pagerduty', pagerduty.deliver(happening, pageOf(incident), atMs));
    await this.settle();
  }

  async alert(happening: Happening, incident: Partial<SentIncident>, source = 'alertmanager'): Promise<void> {
    await this.deliver(source, alertmanager.deliver(happening, pageOf(incident), this.clock.ms));
    await this.settle();
  }

  async deliver(source: string, { headers, body }: SentDelivery): Promise<number> {
    const url = `${this.installation.url}/v1/webhooks/${source}`;
    const response = await fetch(url, { method: 'POST', headers, body: new Uint8Array(body) });
    await response.arrayBuffer();
    return response.status;
  }

  /** Lets time pass, and what is due by then happen. */
  async pass(ms: number): Promise<void> {
    this.clock.ms += ms;
    await this.settle();
  }

  /** Until nothing is due. */
  async settle(): Promise<void> {
    // A change that changes nothing wakes the broker.
    const [anybody] = this.devices.keys();
    if (anybody) await this.post(anybody, '/v1/revoke', { user: 'nobody', reason: 'wake up' });
    await this.#idle(ON_THEIR_OWN);
  }

  /** Lets some minutes pass, in which the feeds are read. */
  async readFeeds(): Promise<void> {
    await this.#idle(CREDENTIALS);
    // Twice the usual pause, as after a failure, and its jitter.
    await this.pass(150_000);
    await this.#idle(CREDENTIALS);
  }

  /** Until nothing is due or under way but these kinds of work. */
  async #idle(besides: ReadonlySet<string>): Promise<void> {
    const isIdle = async () => {
      const jobs = await this.store.read((tx) => tx.countJobs());
      return jobs.every(({ oldestDueAt, kind }) => besides.has(kind) || oldestDueAt > this.clock.ms);
    };
    await waitFor(isIdle, { what: 'the end of due work', timeoutMs: 20_000 });
  }

  ask(by: string, body: object): Promise<Answer<RequestView>> {
    return this.post<RequestView>(by, '/v1/requests', { targets: [], ...body });
  }

  issue(by: string, grant: string, renews?: string): Promise<Answer<CredentialReply>> {
    const body = { material: sshMaterial(), ...(renews !== undefined && { renews }) };
    return this.post<CredentialReply>(by, `/v1/grants/${grant}/credentials`, body);
  }

  /** What is open of this person's, as `role@resource` or whole. */
  async open(user: string): Promise<GrantRow[]> {
    const found = await this.store.read((tx) =>
      tx.grants({ user, states: ['ready', 'active'], limit: 1000 }),
    );
    return [...found].sort((a, b) => (a.resource + a.role < b.resource + b.role ? -1 : 1));
  }

  async names(user: string): Promise<string[]> {
    return (await this.open(user)).map(({ resource, role, state }) => `${resource}:${role} ${state}`);
  }

  async views(by: string): Promise<readonly GrantView[]> {
    return (await this.get<GrantList>(by, '/v1/grants')).result.grants;
  }

  grant(id: string): Promise<GrantRow> {
    return this.store.read(async (tx) => (await tx.grant(id))!);
  }

  /** Entries of the audit log of one kind, newest first. */
  async entries(
    event: string,
  ): Promise<{ subject: Record<string, string>; data: Record<string, unknown> }[]> {
    const rows = await this.store.read((tx) => tx.auditSearch({ event, limit: 1000 }));
    return rows.map(({ entry }) => JSON.parse(entry));
  }

  /** Ids of the notices about `subject`, or all. */
  async notices(subject?: string): Promise<string[]> {
    const rows = await this.store.read((tx) => tx.notices({ ...(subject && { subject }), limit: 1000 }));
    return rows.map(({ id }) => id);
  }
}

function pageOf(incident: Partial<SentIncident>): SentIncident {
  return sentIncident({ startedAtMs: NIGHT, ...incident });
}
