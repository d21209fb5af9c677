// The list on a host: the real script, run as the timer would, against a broker that answers anything.
import { readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createX509Issuer } from '../../src/issuers/x509.ts';
import type { X509Ca } from '../../src/issuers/x509-ca.ts';
import { probeX509 } from '../../src/issuers/x509-probe.ts';
import { part } from '../support/parts.ts';
import { tempDir } from '../support/temp.ts';
import { createCa, followGuide, startListServer, x509Resource } from './x509-world.ts';

const DAY_MS = 86_400_000;
/** All lists of these tests are of one day: a list of the next has a higher number. */
const TODAY = Math.floor(Date.now() / DAY_MS) * DAY_MS;
const [ONE, TWO] = ['4A'.padEnd(32, '0'), '7F'.padEnd(32, 'F')];

function listOf(ca: X509Ca, number: number, serials: string[] = [], nowMs = TODAY): Uint8Array {
  return ca.createCrl({ number, serials, nowMs });
}

async function startHost(firstMs = TODAY) {
  const broker = await startListServer();
  const ca = await createCa(broker.url);
  broker.served = listOf(ca, 1, [], firstMs);
  const issuer = createX509Issuer({
    ca,
    revocations: { revoke: async () => 1 },
    probe: probeX509,
    readCa: async () => '',
    listUrl: broker.url,
    revocationWaitMs: 0,
    now: Date.now,
  });
  const roles = new Map([['read', { unit: 'web/read', description: undefined }]]);
  const settings = {
    kind: 'x509' as const,
    url: 'https://localhost/',
    servers: [],
    caFile: undefined,
    roles,
  };
  const told = join(tempDir(), 'told');
  const reload = join(tempDir(), 'reload');
  const serviceSays = (code: number) =>
    writeFileSync(reload, `#!/bin/sh\necho told >> ${told}\nexit ${code}\n`, { mode: 0o755 });
  serviceSays(0);
  writeFileSync(told, '');
  const host = await followGuide(issuer.guide(x509Resource(settings)), 'web', reload);
  return {
    ...host,
    ca,
    serve(list: Uint8Array | undefined): void {
      broker.served = list;
    },
    cutShort(is: boolean): void {
      broker.cutShort = is;
    },
    serviceSays,
    /** How often the service was told to read the list again. */
    told: () => readFileSync(told, 'utf8').split('\n').length - 1,
  };
}

describe.skipIf(!part('nginx'))('the list of revoked certificates on a host', () => {
  test('is there, good and empty before nginx looks', async () => {
    const host = await startHost();
    expect(statSync(host.file('crl.pem')).mode & 0o777).toBe(0o644);
    expect(host.lists(ONE)).toBe(false);
    expect(readFileSync(host.file('ca.pem'), 'utf8')).toBe(host.ca.certificatePem);
  });

  test('is swapped for a newer one in one rename, and the service is told once', async () => {
    const host = await startHost();
    const before = host.told();
    host.serve(listOf(host.ca, 2, [ONE]));
    expect(await host.pull()).toEqual({ code: 0, stderr: '' });
    expect([host.lists(ONE), host.lists(TWO), host.told()]).toEqual([true, false, before + 1]);
    const { ino } = statSync(host.file('crl.pem'));
    // The same list from another broker: other bytes, and nothing to tell.
    host.serve(listOf(host.ca, 2, [ONE], TODAY + 5_000));
    expect((await host.pull()).code).toBe(0);
    expect([statSync(host.file('crl.pem')).ino, host.told()]).toEqual([ino, before + 1]);
    host.serve(listOf(host.ca, 3, [ONE, TWO]));
    expect((await host.pull()).code).toBe(0);
    expect([host.lists(TWO), host.told()]).toEqual([true, before + 2]);
    expect(readdirSync(host.file('')).sort()).toEqual(['ca.pem', 'crl.number', 'crl.pem']);
  });

  test('is renewed by the day though nothing was revoked, and not before its day', async () => {
    const host = await startHost(TODAY - DAY_MS);
    const { ino } = statSync(host.file('crl.pem'));
    host.serve(listOf(host.ca, 1, [], TODAY + 2 * DAY_MS));
    expect((await host.pull()).code).toBe(1);
    expect(statSync(host.file('crl.pem')).ino).toBe(ino);
    host.serve(listOf(host.ca, 1));
    expect((await host.pull()).code).toBe(0);
    expect(statSync(host.file('crl.pem')).ino).not.toBe(ino);
  });

  test.each<[string, (host: Awaited<ReturnType<typeof startHost>>) => Promise<void> | void]>([
    ['the broker is not there', (host) => host.serve(undefined)],
    ['the list is cut short on its way', (host) => host.cutShort(true)],
    ['the list is cut short at the broker', (host) => host.serve(listOf(host.ca, 9, [ONE]).subarray(0, -20))],
    ['another CA has signed it', async (host) => host.serve(listOf(await createCa(), 9, [ONE]))],
    [
      'a byte of it was changed',
      (host) => {
        const forged = Buffer.from(listOf(host.ca, 9, [ONE]));
        const at = forged.indexOf(Buffer.from(ONE, 'hex'));
        forged[at + 5] = 1;
        host.serve(forged);
      },
    ],
    ['it is older than the last', (host) => host.serve(listOf(host.ca, 4, [ONE]))],
    ['it is empty', (host) => host.serve(new Uint8Array(0))],
    ['it is something else', (host) => host.serve(Buffer.from('<html>welcome</html>'))],
    ['it has run out', (host) => host.serve(listOf(host.ca, 9, [ONE], TODAY - 36 * DAY_MS))],
    ['it is too large', (host) => host.serve(Buffer.alloc(9_000_000))],
  ])('stays as it was where %s', async (_what, spoil) => {
    const host = await startHost();
    host.serve(listOf(host.ca, 5, [TWO]));
    await host.pull();
    const told = host.told();
    const before = readFileSync(host.file('crl.pem'));
    await spoil(host);
    const { code, stderr } = await host.pull();
    expect(code).toBe(1);
    expect(stderr).toContain('oncall-crl: ');
    expect(readFileSync(host.file('crl.pem'))).toEqual(before);
    expect(host.told()).toBe(told);
    expect(readdirSync(host.file('')).filter((name) => name.startsWith('.pull'))).toEqual([]);
    host.cutShort(false);
    host.serve(listOf(host.ca, 10, [ONE]));
    expect((await host.pull()).code).toBe(0);
    expect(host.lists(ONE)).toBe(true);
  });

  test('that was damaged on the host is put right by the next pull', async () => {
    const host = await startHost();
    truncateSync(host.file('crl.pem'), 50);
    expect((await host.pull()).code).toBe(0);
    expect(host.lists(ONE)).toBe(false);
  });

  test('is told of again until the service has taken it', async () => {
    const host = await startHost();
    host.serve(listOf(host.ca, 2, [ONE]));
    host.serviceSays(1);
    expect((await host.pull()).code).toBe(1);
    expect(host.lists(ONE)).toBe(true);
    expect((await host.pull()).code).toBe(1);
    host.serviceSays(0);
    const before = host.told();
    expect((await host.pull()).code).toBe(0);
    expect((await host.pull()).code).toBe(0);
    expect(host.told()).toBe(before + 1);
  });
});
