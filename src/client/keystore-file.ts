/**
 * The keystore for hosts without a keychain: one 0600 file a device, chosen by name. With a passphrase the record is sealed
 * by AES-256-GCM under scrypt (RFC 7914); without one it is as safe as the account's files are.
 */
import { createCipheriv, createDecipheriv, randomBytes, scrypt } from 'node:crypto';
import { join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import type { ClientContext } from './context.ts';
import { type DeviceRecord, parseDeviceRecord } from './device-record.ts';
import { readSafeFile, removePath } from './files.ts';
import type { Keystore } from './keystore.ts';
import { writeFileAtomic } from './write-files.ts';

/** OWASP's first choice for scrypt; about a third of a second, 128 MiB. Part of format 1, so never read from the file. */
const SCRYPT = { N: 2 ** 17, r: 8, p: 1, maxmem: 192 * 1024 * 1024 };
const TAG_BYTES = 16;

interface SealedFile {
  version: 1;
  salt: string;
  iv: string;
  sealed: string;
}

export function createFileKeystore(context: ClientContext, newPassphrase?: string): Keystore {
  const fileOf = (keyId: string) => join(context.paths.keysDir, `${keyId}.json`);
  return {
    kind: 'file',
    async load(keyId) {
      const path = fileOf(keyId);
      const bytes = readSafeFile(path, { secret: true });
      if (bytes === undefined) {
        throw new AppError('not_enrolled', 'the keys of this device are gone from the file keystore', {
          hint: `restore ${path}, or enrol again: oncall enroll <invitation>`,
        });
      }
      const sealed = parseSealed(bytes);
      if (sealed === undefined) return parseDeviceRecord(bytes.toString('utf8'));
      return open(sealed, newPassphrase ?? (await passphraseFor(context)), keyId);
    },
    async save(keyId, record) {
      const content = newPassphrase === undefined ? record : await seal(record, newPassphrase, keyId);
      await writeFileAtomic(fileOf(keyId), `${JSON.stringify(content)}\n`);
    },
    remove: async (keyId) => removePath(fileOf(keyId)),
  };
}

async function passphraseFor({ env, askPassphrase }: ClientContext): Promise<string> {
  const path = env.ONCALL_PASSPHRASE_FILE;
  if (path) {
    const bytes = readSafeFile(path, { secret: true });
    if (bytes === undefined)
      throw new AppError('keychain_locked', `ONCALL_PASSPHRASE_FILE: there is no ${path}`, {
        hint: 'export ONCALL_PASSPHRASE_FILE=/path/to/the/file, or unset it to be asked',
      });
    return bytes.toString('utf8').replace(/\r?\n$/, '');
  }
  if (askPassphrase !== undefined) return askPassphrase('passphrase of this device');
  throw new AppError('keychain_locked', 'the keys of this device are behind a passphrase', {
    hint: 'run it in a terminal, or set ONCALL_PASSPHRASE_FILE',
  });
}

async function seal(record: DeviceRecord, passphrase: string, keyId: string): Promise<SealedFile> {
  const [salt, iv] = [randomBytes(16), randomBytes(12)];
  const cipher = createCipheriv('aes-256-gcm', await deriveKey(passphrase, salt), iv, {
    authTagLength: TAG_BYTES,
  });
  cipher.setAAD(Buffer.from(keyId));
  const sealed = Buffer.concat([cipher.update(JSON.stringify(record)), cipher.final(), cipher.getAuthTag()]);
  return {
    version: 1,
    salt: salt.toString('base64'),
    iv: iv.toString('base64'),
    sealed: sealed.toString('base64'),
  };
}

async function open(file: SealedFile, passphrase: string, keyId: string): Promise<DeviceRecord> {
  const key = await deriveKey(passphrase, Buffer.from(file.salt, 'base64'));
  const sealed = Buffer.from(file.sealed, 'base64');
  let text: string;
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, Buffer.from(file.iv, 'base64'), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(keyId));
    decipher.setAuthTag(sealed.subarray(-TAG_BYTES));
    text = `${decipher.update(sealed.subarray(0, -TAG_BYTES), undefined, 'utf8')}${decipher.final('utf8')}`;
  } catch (cause) {
    // A wrong passphrase and a damaged file look the same.
    throw new AppError('keychain_locked', 'wrong passphrase, or the key file is damaged', {
      hint: 'type it again; where the keys are gone: oncall enroll INVITATION',
      cause,
    });
  }
  return parseDeviceRecord(text);
}

/** Undefined for a file without a passphrase. Throws AppError `corrupt_file` for what is neither. */
function parseSealed(bytes: Buffer): SealedFile | undefined {
  let value: unknown;
  try {
    value = parseStrictJson(bytes);
  } catch (cause) {
    throw new AppError('corrupt_file', 'the key file of this device is damaged', {
      hint: 'oncall enroll INVITATION registers this device anew',
      cause,
    });
  }
  if (typeof value !== 'object' || value === null || !('version' in value)) return undefined;
  const { version, salt, iv, sealed } = value as Record<string, unknown>;
  if (version !== 1 || typeof salt !== 'string' || typeof iv !== 'string' || typeof sealed !== 'string') {
    throw new AppError('corrupt_file', 'the key file of this device is damaged or from a newer oncall', {
      hint: 'oncall --version says how old this one is; where the keys are gone: oncall enroll INVITATION',
    });
  }
  return { version, salt, iv, sealed };
}

function deriveKey(passphrase: string, salt: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFC'), salt, 32, SCRYPT, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}
