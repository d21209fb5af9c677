// A broker with two resources to break the glass of, of which one is a canary; devices with packs; and a clock that a test moves.

import type { EvidenceOptions } from '../../src/audit/evidence.ts';
import { writeExport } from '../../src/audit/export.ts';
import type { RunningBroker } from '../../src/broker/broker.ts';
import type {
  CheckpointReply,
  Identity,
  JournalReply,
  ReviewList,
  ReviewView,
} from '../../src/protocol/messages.ts';
import type { AlarmRow, AuditRow, PackRow } from '../../src/store/rows.ts';
import type { Store } from '../../src/store/store.ts';
import { type AtPoint, decorateStore } from '../support/crash-points.ts';
import { type Answer, enrolled, type TestDevice } from '../support/device.ts';
import { type Installation, install, withPostgres } from '../support/installation.ts';
import { TestJournal } from '../support/journal.ts';
import { migrateStore, POSTGRES_STORE } from './second-broker.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;

const CANARY = `
  canary:
    type: postgres
    service: orders
    environment: staging
    sensitivity: low
    defaultRole: read
    session: { default: 2h, max: 4h, maxExtensions: 4 }
    credential: 10m
    canary: true
    breakGlass: { roles: [read] }
    connection: { host: 127.0.0.1, port: 1, database: orders, sslMode: disable }
    broker: { user: oncall_broker, password: { file: secrets/db-replica } }
    quarantineRole: oncall_quarantine
    roles: { read: { template: oncall_tpl_read } }
reviews: { owners: [carla], due: 24h }
breakGlass: { notify: [ben] }
notify: { hook: { type: webhook, url: "http://127.0.0.1:1/hook", secret: { env: HOOK } } }
`;

export class JournalWorld {
  installation!: Installation;
  broker!: RunningBroker;
  store!: Store;
  at: AtPoint = () => undefined;
  /** Calls of the store, page by page. */
  readonly costs: number[] = [];
  #nowMs = Number.NaN;
  #packs = 0;
  ana!: TestDevice;
  anaAgain!: TestDevice;
  ben!: TestDevice;
  carla!: TestDevice;
  dora!: TestDevice;

  /** `postgres`: on a store whose clock is the database's, so that no test moves it. */
  static async start({ postgres = false } = {}): Promise<JournalWorld> {
    const world = new JournalWorld();
    const catalogue = withPostgres(undefined, CANARY).replace(
      '    credential: 10m\n',
      '    credential: 10m\n    breakGlass: { roles: [read] }\n',
    );
    world.installation = await install({
      ...{ catalogue, now: () => world.now() },
      ...(postgres && { store: POSTGRES_STORE }),
    });
    if (postgres) await migrateStore(world.installation);
    world.broker = await world.installation.start({
      now: () => world.now(),
      env: { HOOK: 'whsec_c2VjcmV0LW9mLXRoZS1ob29r' },
      decorate: {
        store(store) {
          world.store = store;
          return counting(
            decorateStore(store, (point) => world.at(point)),
            (calls) => world.costs.push(calls),
          );
        },
      },
    });
    const device = (user: string) => enrolled(world.installation, user, () => Math.floor(world.now() / 1000));
    [world.ana, world.anaAgain, world.ben, world.carla, world.dora] = (await Promise.all([
      ...[device('ana'), device('ana'), device('ben'), device('carla')],
      device('dora'),
    ])) as [TestDevice, TestDevice, TestDevice, TestDevice, TestDevice];
    if (!postgres) world.#nowMs = Math.ceil(Date.now() / HOUR) * HOUR;
    return world;
  }

  now(): number {
    return Number.isNaN(this.#nowMs) ? Date.now() : this.#nowMs;
  }

  pass(ms: number): void {
    this.#nowMs += ms;
  }

  journal(device: TestDevice = this.ana): TestJournal {
    return new TestJournal(device, () => this.now());
  }

  /** For the twelve hours that begin an hour ago. */
  async pack(device: TestDevice = this.ana, change: Partial<PackRow> = {}): Promise<PackRow> {
    const startsAt = this.now() - HOUR;
    const row: PackRow = {
      id: `bg_${String(++this.#packs).padStart(19, '0')}`,
      user: device.user,
      deviceId: device.id,
      resource: 'db-replica',
      role: 'read',
      kind: 'postgres',
      epoch: 1,
      slots: Array.from({ length: 24 }, (_, number) => ({
        number,
        notBefore: startsAt + number * 30 * MINUTE,
        notAfter: startsAt + number * 30 * MINUTE + HOUR,
        serial: `${this.#packs}${number}`,
      })),
      issuedAt: startsAt,
      startsAt,
      endsAt: startsAt + 12 * HOUR,
      confirmedAt: startsAt,
      state: 'active',
      revokedAt: null,
      ...change,
    };
    await this.store.write((tx) => tx.insertPack(row));
    return row;
  }

  /** Slots are half an hour apart and good for an hour: this one and the one before it are good now. */
  readonly slotNow = 2;

  async rotate(resource: string, at = this.now()): Promise<void> {
    await this.store.write(async (tx) => {
      const row = await tx.breakGlassEpoch(resource);
      await tx.putBreakGlassEpoch({ ...row, epoch: row.epoch + 1, rotatedAt: at });
    });
  }

  upload(journal: TestJournal, lines: readonly string[] = journal.lines): Promise<Answer<JournalReply>> {
    return journal.device.post<JournalReply>('/v1/break-glass/journal', { lines });
  }

  async reviews(): Promise<ReviewView[]> {
    return (await this.carla.get<ReviewList>('/v1/reviews')).result.reviews;
  }

  alarms(): Promise<readonly AlarmRow[]> {
    return this.store.read((tx) => tx.alarms());
  }

  /** Oldest first. */
  async entries(event: string, subject: string = this.ana.id): Promise<readonly AuditRow[]> {
    return (await this.store.read((tx) => tx.auditSearch({ event, subject, limit: 1000 }))).toReversed();
  }

  /** Of the whole log, line by line, and the keys that it is signed with. */
  async exported(): Promise<{ lines: string[]; pins: EvidenceOptions }> {
    const identity = (await (await fetch(`${this.installation.url}/v1/identity`)).json()) as Identity;
    const { origin, logKey: logPublicKey, identityKey: identityPublicKey } = identity;
    const rows = await this.store.read(async (tx) => tx.auditEntries(0, await tx.auditSize()));
    const { result } = await this.carla.get<CheckpointReply>('/v1/audit/checkpoint?from=0');
    const written = writeExport({ origin, logPublicKey, identityPublicKey }, rows, () => result.checkpoint);
    const lines: string[] = [];
    for await (const line of written) lines.push(line.trimEnd());
    return { lines, pins: { logPublicKey, identityPublicKey } };
  }

  /** A request of this device that says how far its journal is. */
  asWritten<T>(device: TestDevice, seq: number, path = '/v1/me'): Promise<Answer<T>> {
    return device.get<T>(path, { headers: { 'oncall-journal-seq': String(seq) } });
  }
}

/** What each change that took a page has asked the store for. */
function counting(store: Store, ofPage: (calls: number) => void): Store {
  return {
    ...store,
    async write(work) {
      let calls: PropertyKey[] = [];
      const result = await store.write((tx) => {
        calls = [];
        const watched = new Proxy(tx, {
          get(target, name) {
            calls.push(name);
            return Reflect.get(target, name);
          },
        });
        return work(watched);
      });
      if (calls.includes('putJournal')) ofPage(calls.length);
      return result;
    },
  };
}
