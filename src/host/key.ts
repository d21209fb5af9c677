/** The host's own key: made here, never sent anywhere. */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { join } from 'node:path';
import type { DeviceSigner } from '../client/device-key.ts';
import { readSafeFile } from '../client/files.ts';
import { writeFiles } from '../client/write-files.ts';
import { AppError } from '../protocol/errors.ts';
import { formatPublicKey, keyThumbprint } from '../protocol/keys.ts';

/** The public half as text, of the key that is there or of a new one. */
export async function ensureHostKey(folder: string): Promise<{ publicKey: string; isNew: boolean }> {
  const known = readKey(folder);
  if (known !== undefined) return { publicKey: textOf(known), isNew: false };
  const { privateKey } = generateKeyPairSync('ed25519');
  const data = privateKey.export({ type: 'pkcs8', format: 'pem' });
  await writeFiles([{ path: keyFile(folder), data }]);
  return { publicKey: textOf(privateKey), isNew: true };
}

/** Throws AppError `not_enrolled` where there is none yet. */
export function openHostKey(folder: string): DeviceSigner {
  const key = readKey(folder);
  if (key === undefined) {
    throw new AppError('not_enrolled', 'this host has no key yet', {
      hint: 'oncall host init, and type at the broker what it prints',
    });
  }
  return {
    keyId: keyThumbprint(textOf(key)),
    alg: 'ed25519',
    sign: async (base) => sign(null, base, key),
  };
}

function readKey(folder: string): KeyObject | undefined {
  const pem = readSafeFile(keyFile(folder), { secret: true });
  if (pem === undefined) return undefined;
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new AppError('corrupt_file', `${keyFile(folder)} holds no key`, {
      hint: `rm ${keyFile(folder)}, then oncall host init, and add the host again at the broker`,
      cause,
    });
  }
}

function keyFile(folder: string): string {
  return join(folder, 'key.pem');
}

function textOf(key: KeyObject): string {
  return formatPublicKey(createPublicKey(key));
}
