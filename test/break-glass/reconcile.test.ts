// The journal goes to the broker before anything else does: over the client's own connection, against a broker that takes an entry only
// where it follows.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { closeGranted, closeTarget } from '../../src/client/break-glass/close.ts';
import { withJournal } from '../../src/client/break-glass/journal.ts';
import { type OpenInput, openPack } from '../../src/client/break-glass/open.ts';
import { requireGlassKeys } from '../../src/client/break-glass/owner.ts';
import { peekJournal } from '../../src/client/break-glass/peek.ts';
import { createBroker } from '../../src/client/broker.ts';
import type { Client } from '../../src/client/client.ts';
import { deviceOf } from '../../src/client/device-key.ts';
import type { PackPlace } from '../../src/protocol/messages.ts';
import { failureOf } from '../client/fixture.ts';
import { Refused, startTestBroker, type TestBroker } from '../client/test-broker.ts';
import { type GlassDevice, givePack, glassAuthority, glassDevice } from './device.ts';
import { type JournalAtBroker, refuseUntold, serveJournal } from './journal-broker.ts';

const place: PackPlace = {
  ...{ kind: 'ssh', login: 'ops', hosts: [{ name: 'db-host', host: '127.0.0.1', port: 22 }] },
  knownHosts: ['[127.0.0.1]:22 ssh-ed25519 AAAA'],
};
const input: OpenInput = {
  ...{ target: { resource: 'db-host', role: 'operator' }, reason: 'the replica is down', incident: null },
  ...{ drill: false, tool: 'ssh', probes: [] },
};

let broker: TestBroker;
let device: GlassDevice;
let known: JournalAtBroker;
const authority = glassAuthority();
const journalFile = () => join(device.context.paths.breakGlassDir, 'journal');
const asked = () => broker.asked.map(({ method, path }) => `${method} ${path}`);
const seqs = () => known.entries().map(({ seq }) => seq);
const upTo = (count: number) => Array.from({ length: count }, (_, index) => index + 1);

/** Another process of the device, as it would begin. */
async function begin(): Promise<Client> {
  const { context, config, keys } = device;
  const { paths, now, env, warn } = context;
  const opened = await deviceOf(config.device, context, keys.record);
  const input = { config, signer: opened.signer, paths, now, env, warn, device: config.device.id };
  return { context, config, device: async () => opened, broker: createBroker(input) };
}

beforeEach(async () => {
  broker = await startTestBroker();
  device = await glassDevice(authority, { trust: { ...broker.trust, identityKey: authority.identityKey } });
  // Packs are signed by the authority of the test; everything else by this broker.
  device = { ...device, config: { ...device.config, identityKey: broker.identityKey } };
  broker.devices.set(device.keys.keyId, device.keys.signingKey);
  known = serveJournal(broker, device.config.device.id, device.keys.signingKey);
  broker.routes.set(
    'GET /v1/me',
    refuseUntold(known, () => ({ user: 'ana' })),
  );
  broker.routes.set(
    'POST /v1/requests',
    refuseUntold(known, () => ({ state: 'granted' })),
  );
  const signing = { ...authority, identity: { publicKey: broker.identity, privateKey: broker.identity } };
  await givePack(signing, device, { place });
});

/** So many entries, all of them uses. */
async function write(count: number): Promise<void> {
  const { owner } = await requireGlassKeys(await begin());
  await withJournal(owner, (journal) =>
    journal.append(() =>
      Array.from({ length: count }, (_, slot) => ({ type: 'use', pack: 'bg_0', slot, tool: 'ssh' }) as const),
    ),
  );
}

describe('the journal of a device', () => {
  it('goes up before anything else is asked, and is let go of', async () => {
    const client = await begin();
    await openPack(client, input);
    expect(await client.broker.get('/v1/me')).toEqual({ user: 'ana' });
    expect(asked()).toEqual(['GET /v1/break-glass/journal', 'POST /v1/break-glass/journal', 'GET /v1/me']);
    expect(broker.asked.at(-1)?.headers['oncall-journal-seq']).toBe('4');
    expect(known.entries().map(({ event }) => event.type)).toEqual(['begin', 'outage', 'open', 'use']);
    await (await begin()).broker.get('/v1/me');
    expect(asked().slice(3)).toEqual(['GET /v1/me']);
    expect(broker.asked.at(-1)?.headers['oncall-journal-seq']).toBe('4');
  });

  it('of a device that broke no glass is nothing, and is not spoken of', async () => {
    await (await begin()).broker.get('/v1/me');
    expect(asked()).toEqual(['GET /v1/me']);
    expect(broker.asked[0]?.headers['oncall-journal-seq']).toBeUndefined();
  });

  it('goes on where it was interrupted, in pages, each entry once', async () => {
    await write(650);
    known.pagesLeft = 2;
    expect(await failureOf((await begin()).broker.get('/v1/me'))).toMatchObject({ code: 'internal' });
    const half = seqs().length;
    expect(half).toBeGreaterThan(0);
    expect(half).toBeLessThan(650);
    known.pagesLeft = Number.POSITIVE_INFINITY;
    await (await begin()).broker.get('/v1/me');
    expect(seqs()).toEqual(upTo(650));
    const pages = broker.asked.filter(({ method, path }) => method === 'POST' && path.endsWith('journal'));
    for (const { body } of pages) {
      expect((body as { lines: string[] }).lines.length).toBeLessThanOrEqual(200);
    }
    expect(readFileSync(journalFile(), 'utf8')).not.toContain('"seq":1,');
  });

  it('goes on although the answer was lost: what the broker has is not sent again', async () => {
    await write(3);
    const { journal } = { journal: readFileSync(journalFile(), 'utf8').split('\n').filter(Boolean) };
    const reply = broker.routes.get('POST /v1/break-glass/journal')!;
    reply({ method: 'POST', path: '', headers: {}, body: { lines: journal } });
    await (await begin()).broker.get('/v1/me');
    expect(asked()).toEqual(['GET /v1/break-glass/journal', 'GET /v1/me']);
    expect(seqs()).toEqual(upTo(3));
  });

  it('that another process goes on writing is told before the next call, and that call is made once', async () => {
    const client = await begin();
    await client.broker.get('/v1/me');
    await openPack(await begin(), input);
    expect(await client.broker.post('/v1/requests', {})).toEqual({ state: 'granted' });
    expect(seqs()).toEqual(upTo(4));
  });

  it('from two processes at once arrives once', async () => {
    await write(300);
    const clients = await Promise.all([begin(), begin(), begin()]);
    await Promise.all(clients.map((client) => client.broker.get('/v1/me')));
    expect(seqs()).toEqual(upTo(300));
  });

  it('goes on from the acknowledged entry when it is written again', async () => {
    const client = await begin();
    await openPack(client, input);
    await client.broker.get('/v1/me');
    await closeTarget(client, input.target, 'released');
    await client.broker.get('/v1/me');
    expect(
      known
        .entries()
        .map(({ event }) => event.type)
        .slice(4),
    ).toEqual(['close']);
    expect(known.broken).toBeNull();
  });

  it('that was deleted is found by the broker, which is what this device then says', async () => {
    const client = await begin();
    await openPack(client, input);
    await client.broker.get('/v1/me');
    rmSync(device.context.paths.breakGlassDir, { recursive: true });
    await write(2);
    // Two entries again under numbers that the broker has others under.
    expect(await failureOf((await begin()).broker.get('/v1/me')).catch(() => undefined)).toBeUndefined();
    expect(device.context.warnings.join()).toMatch(/journal/);
    expect(peekJournal(device.context.paths, device.config.device.id, Date.now()).base.broken).not.toBeNull();
  });

  it('that the broker finds broken is said, and sent once a process', async () => {
    await write(2);
    const lines = readFileSync(journalFile(), 'utf8').split('\n');
    writeFileSync(journalFile(), [lines[1], ''].join('\n'), { mode: 0o600 });
    broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
    const client = await begin();
    for (const _ of [1, 2, 3]) await client.broker.get('/v1/me');
    expect(asked().filter((call) => call === 'POST /v1/break-glass/journal')).toHaveLength(1);
    expect(device.context.warnings.join()).toContain('conflict');
  });

  it('that a broker knows nothing of keeps nobody from working', async () => {
    await write(1);
    for (const method of ['GET', 'POST']) broker.routes.delete(`${method} /v1/break-glass/journal`);
    broker.routes.set('GET /v1/me', () => ({ user: 'ana' }));
    expect(await (await begin()).broker.get('/v1/me')).toEqual({ user: 'ana' });
    expect(existsSync(journalFile())).toBe(true);
    expect(peekJournal(device.context.paths, device.config.device.id, Date.now()).unreported).toHaveLength(1);
  });

  it('that cannot be told keeps anything else from being asked', async () => {
    await write(1);
    broker.routes.set('GET /v1/break-glass/journal', () => new Refused({ status: 500, code: 'internal' }));
    expect(await failureOf((await begin()).broker.get('/v1/me'))).toMatchObject({ code: 'internal' });
    expect(asked()).toEqual(['GET /v1/break-glass/journal']);
  });
});

describe('once it is told', () => {
  it('what was opened is closed where the broker grants it, and stays where it does not', async () => {
    const client = await begin();
    await openPack(client, input);
    expect(await closeGranted(client, [input.target])).toEqual([]);
    await client.broker.get('/v1/me');
    expect(await closeGranted(client, [{ resource: 'db-host', role: 'other' }])).toEqual([]);
    expect(await closeGranted(client, [input.target])).toHaveLength(1);
    await client.broker.get('/v1/me');
    expect(known.entries().at(-1)?.event).toMatchObject({ type: 'close', cause: 'reconciled' });
  });
});
