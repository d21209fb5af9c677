import { generateKeyPairSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { openSealedCredential, sealCredential } from '../../src/protocol/credential-seal.ts';
import { formatPublicKey } from '../../src/protocol/keys.ts';

const SECRET = Buffer.from('AKIA/secret/token');

test('a sealed secret opens on its own device, for its own credential, and nowhere else', async () => {
  const [device, other] = [generateKeyPairSync('x25519'), generateKeyPairSync('x25519')];
  const sealed = await sealCredential(formatPublicKey(device.publicKey), 'cr_1', SECRET);
  expect(sealed).not.toContain('AKIA');
  expect(Buffer.from(await openSealedCredential(device.privateKey, 'cr_1', sealed))).toEqual(SECRET);
  const edited = `${sealed.slice(0, -2)}${sealed.endsWith('A') ? 'B' : 'A'}${sealed.slice(-1)}`;
  const wrong = [
    [other, 'cr_1', sealed],
    [device, 'cr_2', sealed],
    [device, 'cr_1', edited],
    [device, 'cr_1', sealed.slice(0, 20)],
  ] as const;
  for (const [{ privateKey }, id, text] of wrong)
    await expect(openSealedCredential(privateKey, id, text)).rejects.toMatchObject({ code: 'corrupt_file' });
});

test('a key that is not a sealing key gets nothing', async () => {
  const signing = formatPublicKey(generateKeyPairSync('ed25519').publicKey);
  await expect(sealCredential(signing, 'cr_1', SECRET)).rejects.toMatchObject({ code: 'invalid_request' });
});
