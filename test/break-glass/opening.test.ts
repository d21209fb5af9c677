// What opens a pack and what does not, on a device's real files: nothing is opened without a journal, and nothing twice.
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { parseEntry } from '../../src/break-glass/journal-entry.ts';
import { closeExpired, closeTarget } from '../../src/client/break-glass/close.ts';
import { type OpenInput, openPack, useOpened } from '../../src/client/break-glass/open.ts';
import type { Client } from '../../src/client/client.ts';
import { deviceOf } from '../../src/client/device-key.ts';
import { readStatusFile } from '../../src/client/status-file.ts';
import type { PackPlace } from '../../src/protocol/messages.ts';
import { failureOf } from '../client/fixture.ts';
import { canMount, smallDisk } from '../support/small-disk.ts';
import { type GlassDevice, givePack, glassAuthority, glassDevice, HOUR_MS, makePack } from './device.ts';

const authority = glassAuthority();
const NOW = Date.UTC(2026, 0, 5, 2, 14);
const MINUTE_MS = 60_000;
const place: PackPlace = {
  ...{ kind: 'ssh', login: 'ops', hosts: [{ name: 'db-host', host: '127.0.0.1', port: 22 }] },
  knownHosts: ['[127.0.0.1]:22 ssh-ed25519 AAAA'],
};
const input: OpenInput = {
  ...{ target: { resource: 'db-host', role: 'operator' }, reason: 'the replica is down', incident: 'P1-1' },
  ...{ drill: false, tool: 'ssh', probes: [{ endpoint: 'https://b', tookMs: 3, outcome: 'refused' }] },
};

let device: GlassDevice;
let client: Client;
let nowMs = NOW;
const paths = () => device.context.paths;
const journalFile = () => join(paths().breakGlassDir, 'journal');
const journal = () =>
  existsSync(journalFile())
    ? readFileSync(journalFile(), 'utf8').split('\n').filter(Boolean).map(parseEntry)
    : [];
const events = () => journal().map(({ event }) => event.type);
const placed = () =>
  existsSync(join(paths().runDir, 'grants')) ? readdirSync(join(paths().runDir, 'grants')) : [];

async function clientOf({ context, config, keys }: GlassDevice): Promise<Client> {
  const opened = await deviceOf(config.device, context, keys.record);
  // Nothing here asks a broker.
  return { context, config, device: async () => opened, broker: undefined as never };
}

beforeEach(async () => {
  nowMs = NOW;
  device = await glassDevice(authority, { now: () => nowMs });
  client = await clientOf(device);
});

const give = (more: Partial<Parameters<typeof givePack>[2]> = {}) =>
  givePack(authority, device, { place, nowMs: NOW, ...more });

describe('an opening', () => {
  it('is written down, its evidence before it, and found by tools', async () => {
    const pack = await give();
    const { credential } = await openPack(client, input);
    expect(events()).toEqual(['begin', 'outage', 'open', 'use']);
    expect(journal()[2]?.event).toMatchObject({ pack: pack.id, slot: 0, outage: 2, reason: input.reason });
    expect(journal()[3]?.event).toMatchObject({ pack: pack.id, slot: 0, tool: 'ssh' });
    expect(placed()).toEqual([pack.id]);
    expect(credential.expiresAt).toBe(pack.slots[0]?.notAfter);
    expect(readStatusFile(paths())?.breakGlass.open).toMatchObject([{ pack: pack.id, slot: 0 }]);
    expect(readFileSync(paths().promptFile, 'utf8')).toMatch(
      /^\d+ \d\d:\d\d BREAK-GLASS db-host:operator\n$/,
    );
  });

  it('uses what is open again, and takes another slot when little of it is left', async () => {
    const pack = await give();
    await openPack(client, input);
    nowMs += 30 * MINUTE_MS;
    expect((await openPack(client, input)).wasOpen).toBe(true);
    expect(events()).toEqual(['begin', 'outage', 'open', 'use', 'use']);
    nowMs = Date.parse(pack.slots[0]!.notAfter) - 9 * MINUTE_MS;
    const next = await openPack(client, input);
    expect([next.wasOpen, next.use.slot]).toEqual([false, 1]);
  });

  it('never opens a slot twice: given back is given back', async () => {
    await give({ startsAtMs: NOW - 40 * MINUTE_MS });
    const opened = [await openPack(client, input)];
    await closeTarget(client, input.target, 'released');
    expect(placed()).toEqual([]);
    opened.push(await openPack(client, input));
    await closeTarget(client, input.target, 'released');
    expect(opened.map(({ use }) => use.slot)).toEqual([1, 0]);
    expect(await failureOf(openPack(client, input))).toMatchObject({ code: 'conflict' });
    expect(events().filter((type) => type === 'open')).toHaveLength(2);
  });

  it('of two at once is one slot for both', async () => {
    await give();
    const opened = await Promise.all([openPack(client, input), openPack(client, input)]);
    expect(opened.map(({ use }) => use.slot)).toEqual([0, 0]);
    expect(events().filter((type) => type === 'open')).toHaveLength(1);
    expect(events().filter((type) => type === 'use')).toHaveLength(2);
  });

  it('is over when its certificate is: wiped, and said', async () => {
    const pack = await give();
    await openPack(client, input);
    nowMs = Date.parse(pack.slots[0]!.notAfter);
    expect(await useOpened(client, input.target, 'ssh')).toBeUndefined();
    expect(await closeExpired(client)).toHaveLength(1);
    expect(await closeExpired(client)).toHaveLength(0);
    expect(journal().at(-1)?.event).toMatchObject({ type: 'close', cause: 'expired', slot: 0 });
    expect([placed(), readStatusFile(paths())?.breakGlass.open]).toEqual([[], []]);
  });
});

describe('a pack', () => {
  const opens = () => failureOf(openPack(client, input));
  const nothing = () => expect([events(), placed()]).toEqual([[], []]);
  const packFile = (id: string) => join(paths().breakGlassDir, 'packs', `${id}.json`);

  it('that is not there, not yet good or not good any more opens nothing', async () => {
    expect(await opens()).toMatchObject({ code: 'not_found' });
    const pack = await give({ startsAtMs: NOW + HOUR_MS });
    expect(await opens()).toMatchObject({ code: 'expired' });
    nowMs = Date.parse(pack.slots.at(-1)!.notAfter);
    expect(await opens()).toMatchObject({ code: 'expired' });
    nothing();
  });

  it('that was edited opens nothing', async () => {
    const pack = await give({ coverMs: HOUR_MS });
    nowMs = NOW + 5 * HOUR_MS;
    const text = readFileSync(packFile(pack.id), 'utf8');
    const later = text.replaceAll(pack.slots[0]!.notAfter, new Date(NOW + 9 * HOUR_MS).toISOString());
    expect(later).not.toBe(text);
    writeFileSync(packFile(pack.id), later, { mode: 0o600 });
    expect(await opens()).toMatchObject({ code: 'corrupt_file' });
    nothing();
  });

  it.each(['{', '[]', '{"version":1,"pack":{"signature":"x"},"sealedKey":{"iv":""}}', ''])(
    'that is damaged opens nothing: %s',
    async (text) => {
      const pack = await give();
      writeFileSync(packFile(pack.id), text, { mode: 0o600 });
      expect(await opens()).toMatchObject({ code: 'corrupt_file' });
      nothing();
    },
  );

  it('of another device, or of another person on this one, opens nothing', async () => {
    const other = await glassDevice(authority, { now: () => nowMs });
    const theirs = await givePack(authority, other, { place, nowMs: NOW });
    mkdirSync(join(paths().breakGlassDir, 'packs'), { recursive: true, mode: 0o700 });
    renameSync(join(other.context.paths.breakGlassDir, 'packs', `${theirs.id}.json`), packFile(theirs.id));
    expect(await opens()).toMatchObject({ code: 'corrupt_file' });
    // Its owner is changed to us: then it is not signed so.
    const text = readFileSync(packFile(theirs.id), 'utf8');
    writeFileSync(packFile(theirs.id), text.replace(theirs.device, device.config.device.id), { mode: 0o600 });
    expect(await opens()).toMatchObject({ code: 'corrupt_file' });
    const ben = { ...device, config: { ...device.config, user: 'ben' } };
    await givePack(authority, ben, { place, nowMs: NOW });
    expect(await opens()).toMatchObject({ code: 'corrupt_file' });
    nothing();
  });

  it('under the name of another, or with its key, opens nothing', async () => {
    const [one, two] = [await give(), await give()];
    const [first, second] = [one, two].map(({ id }) => JSON.parse(readFileSync(packFile(id), 'utf8')));
    writeFileSync(packFile(one.id), JSON.stringify({ ...first, sealedKey: second.sealedKey }), {
      mode: 0o600,
    });
    writeFileSync(packFile(two.id), JSON.stringify(first), { mode: 0o600 });
    expect(await opens()).toMatchObject({ code: 'corrupt_file' });
    nothing();
  });

  it('that another broker signed is not kept', async () => {
    const { pack, key } = await makePack(glassAuthority(), device, { place, nowMs: NOW });
    const { keepPack } = await import('../../src/client/break-glass/packs.ts');
    const kept = keepPack(paths(), device.config, Buffer.alloc(32), { pack, key, keptAt: pack.issuedAt });
    expect(await failureOf(kept)).toMatchObject({ code: 'corrupt_file' });
  });

  it('of an older epoch is passed over', async () => {
    await give({ epoch: 1 });
    const newer = await give({ epoch: 2, startsAtMs: NOW + HOUR_MS });
    expect(await opens()).toMatchObject({ code: 'expired' });
    nowMs = Date.parse(newer.startsAt) + MINUTE_MS;
    expect((await openPack(client, input)).use.pack).toBe(newer.id);
  });

  it('is not revived by a clock that is set back', async () => {
    await give();
    nowMs = NOW + 3 * HOUR_MS;
    const later = await give({ resource: 'other', nowMs });
    await openPack(client, { ...input, target: { resource: later.resource, role: later.role } });
    const before = journal().length;
    nowMs = NOW;
    expect(await opens()).toMatchObject({ code: 'clock_skew' });
    expect(journal()).toHaveLength(before);
  });

  it('is nothing that a device which keeps nothing has', async () => {
    const bare = {
      ...client,
      device: async () => ({
        ...(await client.device()),
        cacheKey: undefined,
        sealing: undefined,
        record: null,
      }),
    };
    expect(await failureOf(openPack(bare, input))).toMatchObject({ code: 'config_invalid' });
  });
});

describe('without a journal nothing is opened:', () => {
  const refuses = async (code: string) => {
    expect(await failureOf(openPack(client, input))).toMatchObject({ code });
    expect(placed()).toEqual([]);
  };

  it('others can write in its folder', async () => {
    await give();
    chmodSync(paths().breakGlassDir, 0o777);
    await refuses('unsafe_file');
  });

  it('others can read it', async () => {
    await give();
    await openPack(client, input);
    await closeTarget(client, input.target, 'released');
    chmodSync(journalFile(), 0o644);
    await refuses('unsafe_file');
  });

  it('it is no file', async () => {
    await give();
    mkdirSync(journalFile());
    await refuses('unsafe_file');
  });

  it.runIf(canMount())('the disk is full', async () => {
    await give();
    const disk = smallDisk();
    const { breakGlassDir } = paths();
    cpSync(join(breakGlassDir, 'packs'), join(disk.folder, 'packs'), { recursive: true });
    Object.assign(device.context, { paths: { ...paths(), breakGlassDir: disk.folder } });
    disk.fill();
    await refuses('disk_full');
    expect(events()).toEqual([]);
  });

  it('an entry in its middle was changed', async () => {
    await give();
    await openPack(client, input);
    await closeTarget(client, input.target, 'released');
    writeFileSync(journalFile(), readFileSync(journalFile(), 'utf8').replace('replica', 'primary'));
    await refuses('corrupt_file');
  });

  it('an entry is missing', async () => {
    await give();
    await openPack(client, input);
    await closeTarget(client, input.target, 'released');
    const lines = readFileSync(journalFile(), 'utf8').split('\n');
    writeFileSync(journalFile(), lines.filter((_, at) => at !== 1).join('\n'));
    await refuses('corrupt_file');
  });
});

describe('what a crash leaves of a line', () => {
  it.each(['{"at":"2026', '{"half":true}\n', '\0\0\0\0\n\0\0'])(
    'is cut off, and what follows is no fork: %j',
    async (torn) => {
      await give();
      await openPack(client, input);
      const whole = readFileSync(journalFile(), 'utf8');
      appendFileSync(journalFile(), torn);
      nowMs += MINUTE_MS;
      await openPack(client, input);
      expect(readFileSync(journalFile(), 'utf8').startsWith(whole)).toBe(true);
      expect(journal().map(({ seq }) => seq)).toEqual([1, 2, 3, 4, 5]);
      await closeTarget(client, input.target, 'released');
      expect(events().at(-1)).toBe('close');
    },
  );
});
