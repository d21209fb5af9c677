// The list by which sshd refuses: taken from the broker alone, never an older one, and the last good one stays whatever comes.
import { generateKeyPairSync } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { signingKey } from '../../src/broker/keys.ts';
import { createTransport, type Transport } from '../../src/client/transport.ts';
import { pullRevocationList } from '../../src/host/revocation-list.ts';
import { createSignedKrl } from '../../src/issuers/krl.ts';
import type { SignedKrl } from '../../src/protocol/signed-krl.ts';
import { sshPublicKeyBlob } from '../../src/protocol/ssh-wire.ts';
import { atEnd } from '../support/at-end.ts';
import { freePort, tempDir } from '../support/temp.ts';

const identity = signingKey(generateKeyPairSync('ed25519').privateKey);
const ca = sshPublicKeyBlob(generateKeyPairSync('ed25519').publicKey);

function list(number: number, serial = '7', by = identity): SignedKrl {
  return createSignedKrl({
    number,
    sections: [{ ca, entries: [{ serial }] }],
    nowMs: Date.now(),
    sign: by.sign,
  });
}

describe('the revocation list', () => {
  let served: { krl: Uint8Array; signature: string } | undefined;
  let transport: Transport;
  let broker = '';
  let folder = '';

  beforeAll(async () => {
    const port = await freePort();
    broker = `http://127.0.0.1:${port}/`;
    const server = createServer((request, response) => {
      if (served === undefined) return void response.writeHead(500).end('no');
      response.end(Buffer.from(request.url?.endsWith('.sig') ? served.signature : served.krl));
    }).listen(port, '127.0.0.1');
    transport = createTransport(new URL(broker), { ca: 'system' }, {}, Date.now);
    atEnd(() => {
      transport.close();
      server.closeAllConnections();
      server.close();
    });
  });

  beforeEach(async () => {
    folder = tempDir();
    served = list(5);
    await pull();
  });

  const pull = () =>
    pullRevocationList(
      transport,
      { broker, identityKey: identity.publicKey },
      folder,
      AbortSignal.timeout(10_000),
    );
  const inPlace = () => [
    readFileSync(join(folder, 'krl.number'), 'utf8'),
    readFileSync(join(folder, 'krl')).equals(Buffer.from(good.krl)),
  ];
  let good: SignedKrl;
  beforeEach(() => {
    good = served as SignedKrl;
  });

  it('is put in place, and pulled anew when its number has risen', async () => {
    expect(inPlace()).toEqual(['5\n', true]);
    expect(await pull()).toMatchObject({ number: 5, isNew: false });
    served = list(6, '8');
    expect(await pull()).toMatchObject({ number: 6, isNew: true });
    expect(readFileSync(join(folder, 'krl')).equals(Buffer.from(served.krl))).toBe(true);
  });

  it.each<[string, () => typeof served, string]>([
    ['is gone', () => undefined, 'broker_unreachable'],
    [
      'has another signer',
      () => list(9, '8', signingKey(generateKeyPairSync('ed25519').privateKey)),
      'corrupt_file',
    ],
    ['is an older one', () => list(4), 'conflict'],
    ['is not the one that was signed', () => ({ ...list(9), krl: list(9, '8').krl }), 'corrupt_file'],
    ['is cut off', () => ({ ...list(9), krl: list(9).krl.subarray(0, 20) }), 'corrupt_file'],
    [
      'has another number than was signed',
      () => ({ ...list(9), signature: list(9).signature.replace('number 9', 'number 10') }),
      'corrupt_file',
    ],
    ['is a page of a portal', () => ({ krl: Buffer.from('<html>'), signature: '<html>' }), 'corrupt_file'],
  ])('that %s leaves the last good one', async (_, serve, code) => {
    served = serve();
    await expect(pull()).rejects.toMatchObject({ code });
    expect(inPlace()).toEqual(['5\n', true]);
  });

  it('is pulled again where it was lost or damaged, and the number remembers what was seen', async () => {
    writeFileSync(join(folder, 'krl'), 'oops');
    await pull();
    expect(inPlace()).toEqual(['5\n', true]);
    writeFileSync(join(folder, 'krl.number'), '6\n');
    await expect(pull()).rejects.toMatchObject({ code: 'conflict' });
    expect(existsSync(join(folder, 'krl.pulled'))).toBe(false);
  });
});
