// Break-glass that is killed at any point: no certificate is on the disk without an entry, no entry that something rested on is lost, and
// none is counted twice, whatever dies where. Every named point, then seeded random ones: 50 here, more in `npm run soak`.
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { emptyHead, parseEntry, verifyEntry } from '../../src/break-glass/journal-entry.ts';
import { parseBreakGlassKeyId } from '../../src/protocol/break-glass-names.ts';
import type { PackPlace } from '../../src/protocol/messages.ts';
import { parseCertificate } from '../../src/protocol/ssh-certificate.ts';
import { startTestBroker, type TestBroker } from '../client/test-broker.ts';
import { cleanEnvironment, startProcess } from '../support/process.ts';
import {
  type GlassAuthority,
  type GlassDevice,
  givePack,
  glassAuthority,
  glassDevice,
  HOUR_MS,
} from './device.ts';
import { type JournalAtBroker, refuseUntold, serveJournal } from './journal-broker.ts';

const KILLS = Number(process.env.ONCALL_TEST_GLASS_KILLS ?? 50);
const SEED = Number(process.env.ONCALL_TEST_SEED ?? 20_260_105);
const WORLDS = 2;
const [JOURNAL, ME] = ['/v1/break-glass/journal', '/v1/me'];

/** In the order in which a life passes them. */
const POINTS = [
  // The opening's entries: half of them, all but not synced, synced and nothing unsealed.
  ...['after torn 1', 'before sync 1', 'after sync 1'],
  // Its use.
  ...['after torn 2', 'before sync 2', 'after sync 2'],
  // Before tools find it, and before anybody sees that it is open.
  ...[
    'before rename key-cert.pub',
    'after rename key-cert.pub',
    'before rename status.json',
    'after rename status.json',
  ],
  // Used once more.
  ...['before sync 3', 'after sync 3'],
  // Given back: wiped, and not written down yet.
  ...['after torn 4', 'before sync 4', 'after sync 4'],
  // Told: nothing sent, sent and not answered, answered and not put down, put down and not let go of.
  ...[`before send GET+${JOURNAL}`, `before send POST+${JOURNAL}`, `after send POST+${JOURNAL}`],
  ...['before rename journal.head', 'after rename journal.head', 'after rename break-glass/journal'],
  ...[`before send GET+${ME}`, `after send GET+${ME}`],
];

const place: PackPlace = {
  ...{ kind: 'ssh', login: 'ops', hosts: [{ name: 'db-host', host: '127.0.0.1', port: 22 }] },
  knownHosts: ['[127.0.0.1]:22 ssh-ed25519 AAAA'],
};

interface Did {
  did: 'open' | 'use' | 'close' | 'told' | 'failed' | 'warn';
  pack: string;
  slot: number;
  message?: string;
}

interface World {
  device: GlassDevice;
  known: JournalAtBroker;
  signing: GlassAuthority;
  /** All that any life has said. */
  said: Did[];
}

async function createWorld(): Promise<World> {
  const broker: TestBroker = await startTestBroker({ plain: true });
  const identity = { publicKey: broker.identity, privateKey: broker.identity };
  const signing = { ...glassAuthority(), identity, identityKey: broker.identityKey };
  const device = await glassDevice(signing, { trust: broker.trust });
  const { keys, config } = device;
  broker.devices.set(keys.keyId, keys.signingKey);
  const known = serveJournal(broker, config.device.id, keys.signingKey);
  broker.routes.set(
    `GET ${ME}`,
    refuseUntold(known, () => ({ user: 'ana' })),
  );
  return { device, known, signing, said: [] };
}

/** One life, until it ends or `kill` says so; a pack of its own, so that it has slots to open. */
async function live(world: World, { killAt, killAfterMs }: { killAt?: string; killAfterMs?: number } = {}) {
  const { device, signing, said } = world;
  forgetOldPacks(device);
  await givePack(signing, device, { place, coverMs: HOUR_MS / 2 });
  const preload = `--require=${resolve('test/break-glass/kill-at.cjs')}`;
  const env = { ...cleanEnvironment(), ONCALL_HOME: device.home };
  const child = startProcess(process.execPath, ['dist/test/glass.js'], {
    env: killAt === undefined ? env : { ...env, NODE_OPTIONS: preload, KILL_AT: killAt },
    input: '',
  });
  const timer = killAfterMs === undefined ? undefined : setTimeout(() => child.kill('SIGKILL'), killAfterMs);
  const ended = await child.ended.finally(() => clearTimeout(timer));
  const lines = child.stdout().split('\n');
  const told = lines.slice(0, -1).map((line) => JSON.parse(line) as Did);
  said.push(...told);
  return { ...ended, told };
}

/** As fetching does: a long run would read hundreds of them at each step. */
function forgetOldPacks({ context }: GlassDevice): void {
  const folder = join(context.paths.breakGlassDir, 'packs');
  const names = existsSync(folder) ? readdirSync(folder).sort() : [];
  for (const name of names.slice(0, -5)) rmSync(join(folder, name));
}

/** What the broker has and, behind it, what only the device has: one chain. */
function whole({ device, known }: World) {
  const file = join(device.context.paths.breakGlassDir, 'journal');
  const text = existsSync(file) ? readFileSync(file, 'utf8') : '';
  const owner = { id: device.config.device.id, publicKey: device.keys.signingKey };
  let head = emptyHead(owner.id);
  const entries = known.lines.map((line) => {
    const verified = verifyEntry(line, head, owner);
    head = verified.head;
    return verified.entry;
  });
  for (const line of text.split('\n').slice(0, -1)) {
    if (known.lines.includes(line)) continue;
    try {
      parseEntry(line);
    } catch {
      // Torn: whoever writes next cuts it off.
      continue;
    }
    const verified = verifyEntry(line, head, owner);
    head = verified.head;
    entries.push(verified.entry);
  }
  return entries;
}

function expectAccountedFor(world: World): void {
  const { device, known, said } = world;
  const events = whole(world).map(({ event }) => event);
  const has = (type: string, { pack, slot }: { pack: string; slot: number }) =>
    events.filter(
      (event) => event.type === type && 'slot' in event && event.pack === pack && event.slot === slot,
    );
  // No certificate lies where a tool finds it without an opening and a use.
  const grants = join(device.context.paths.runDir, 'grants');
  for (const name of existsSync(grants) ? readdirSync(grants) : []) {
    const file = join(grants, name, 'key-cert.pub');
    if (!existsSync(file)) continue;
    const use = parseBreakGlassKeyId(parseCertificate(readFileSync(file, 'utf8').trim()).keyId)!;
    expect(has('open', use)).toHaveLength(1);
    expect(has('use', use).length).toBeGreaterThan(0);
  }
  // Nothing that was said to be done is lost, and no slot was opened twice.
  for (const one of said) {
    if (one.did === 'failed') throw new Error(one.message);
    if (one.did === 'open' || one.did === 'use' || one.did === 'close')
      expect(has(one.did, one).length).toBeGreaterThan(0);
  }
  const openings = events.flatMap((event) => (event.type === 'open' ? [`${event.pack}/${event.slot}`] : []));
  expect(new Set(openings).size).toBe(openings.length);
  expect(known.broken).toBeNull();
}

/** A life that nobody kills makes up for all before it. */
async function expectMadeUpFor(world: World): Promise<void> {
  const { code, told } = await live(world);
  expect({ code, told: told.filter(({ did }) => did === 'failed' || did === 'warn') }).toEqual({
    code: 0,
    told: [],
  });
  expectAccountedFor(world);
  expect(whole(world)).toHaveLength(world.known.lines.length);
}

describe('break-glass that is killed', () => {
  let world: World;
  beforeAll(async () => {
    world = await createWorld();
    await expectMadeUpFor(world);
  });

  it.each(POINTS)('%s is accounted for', async (killAt) => {
    const { signal } = await live(world, { killAt });
    expect(signal).toBe('SIGKILL');
    expectAccountedFor(world);
    await expectMadeUpFor(world);
  });
});

/** mulberry32: small, seeded, good enough to spread kills. */
function createRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

describe.concurrent(`${KILLS} seeded kills of break-glass`, () => {
  it.each(Array.from({ length: WORLDS }, (_, index) => index))(
    'lose no entry and use nothing without one (world %i)',
    async (index) => {
      const random = createRandom(SEED + index);
      const world = await createWorld();
      const startedAt = performance.now();
      await expectMadeUpFor(world);
      const lifeMs = performance.now() - startedAt;
      for (let kill = 0; kill < Math.ceil(KILLS / WORLDS); kill++) {
        await live(world, { killAfterMs: lifeMs * (0.2 + random()) });
        try {
          expectAccountedFor(world);
        } catch (error) {
          throw new Error(`seed ${SEED}, world ${index}, kill ${kill}: ${(error as Error).message}`, {
            cause: error,
          });
        }
      }
      await expectMadeUpFor(world);
    },
    60_000 + KILLS * 3_000,
  );
});
