/**
 * The broker's keys: one folder, PKCS#8 PEM files of 0600. The identity key is what devices pin; it signs TLS certificates,
 * time and receipts. The log key signs checkpoints. The two CAs sign what engineers log in with, the two of break-glass what
 * they log in with while there is no broker: targets hold those to names that the others never use, so no key stands in for
 * another.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
} from 'node:crypto';
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '../protocol/errors.ts';
import { formatPublicKey, rawPublicKey } from '../protocol/keys.ts';

export interface SigningKey {
  privateKey: KeyObject;
  /** `ed25519:<base64url>`. */
  publicKey: string;
  rawPublicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

export interface BrokerKeys {
  identity: SigningKey;
  log: SigningKey;
  sshCa: SigningKey;
  x509Ca: SigningKey;
  /** `x509` is ECDSA over P-256: AWS IAM Roles Anywhere trusts no Ed25519. */
  breakGlass: { ssh: SigningKey; x509: KeyObject };
}

const FILES = {
  identity: 'identity.key',
  log: 'log.key',
  sshCa: 'ssh-ca.key',
  x509Ca: 'x509-ca.key',
} as const;
const BREAK_GLASS_FILES = { ssh: 'break-glass-ssh.key', x509: 'break-glass-x509.key' } as const;

export async function createBrokerKeys(directory: string): Promise<BrokerKeys> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const file of Object.values(FILES))
    await writeKey(join(directory, file), generateKeyPairSync('ed25519').privateKey);
  await addBreakGlassKeys(directory);
  return loadBrokerKeys(directory);
}

/**
 * For an installation from before there were any; those that are there stay. Several brokers must have the same ones, so no
 * broker makes them by itself. Answers the files it made.
 */
export async function addBreakGlassKeys(directory: string): Promise<string[]> {
  const make = {
    ssh: () => generateKeyPairSync('ed25519').privateKey,
    x509: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  };
  const made: string[] = [];
  for (const kind of ['ssh', 'x509'] as const) {
    const file = join(directory, BREAK_GLASS_FILES[kind]);
    if (await exists(file)) continue;
    await writeKey(file, make[kind]());
    made.push(file);
  }
  return made;
}

function writeKey(file: string, key: KeyObject): Promise<void> {
  return writeSecretFile(file, key.export({ type: 'pkcs8', format: 'pem' }).toString(), 'wx');
}

export async function loadBrokerKeys(directory: string): Promise<BrokerKeys> {
  const load = async (name: string) => signingKey(await loadKey(directory, name, 'ed25519'));
  const late = 'oncall broker migrate makes it; where several brokers share a store, copy it from the first';
  const [identity, log, sshCa, x509Ca, ssh, x509] = await Promise.all([
    load(FILES.identity),
    load(FILES.log),
    load(FILES.sshCa),
    load(FILES.x509Ca),
    loadKey(directory, BREAK_GLASS_FILES.ssh, 'ed25519', late),
    loadKey(directory, BREAK_GLASS_FILES.x509, 'ec', late),
  ]);
  return { identity, log, sshCa, x509Ca, breakGlass: { ssh: signingKey(ssh), x509 } };
}

async function loadKey(
  directory: string,
  name: string,
  type: 'ed25519' | 'ec',
  hint?: string,
): Promise<KeyObject> {
  const file = join(directory, name);
  const pem = await readSecretFile(file, hint);
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === type) return key;
    throw new Error(`a key of type ${key.asymmetricKeyType}`);
  } catch (cause) {
    throw new AppError('config_invalid', `${file} holds no ${type === 'ec' ? 'P-256' : 'Ed25519'} key`, {
      hint: 'put it back from a backup: devices and targets trust this very key',
      cause,
    });
  }
}

export function signingKey(privateKey: KeyObject): SigningKey {
  const publicKey = formatPublicKey(createPublicKey(privateKey));
  return {
    privateKey,
    publicKey,
    rawPublicKey: rawPublicKey(publicKey),
    sign: (message) => sign(null, message, privateKey),
  };
}

/** Reads a file that holds a secret; refuses one that others can read or that belongs to somebody else. */
export async function readSecretFile(
  file: string,
  hint = 'oncall broker init DIR makes the keys',
): Promise<string> {
  let info: Awaited<ReturnType<typeof stat>>;
  try {
    info = await stat(file);
  } catch (cause) {
    throw new AppError('config_invalid', `cannot read ${file}`, { hint, cause });
  }
  if ((info.mode & 0o077) !== 0) {
    throw new AppError('unsafe_file', `others can read ${file}`, { hint: `chmod 600 ${file}` });
  }
  return readFile(file, 'utf8');
}

/** Temporary name, fsync, rename, fsync of the folder: the file is whole or absent whatever happens. */
export async function writeSecretFile(file: string, text: string, flag: 'w' | 'wx' = 'w'): Promise<void> {
  if (flag === 'wx' && (await exists(file))) {
    throw new AppError('conflict', `${file} exists already`, { hint: 'choose an empty folder' });
  }
  const temporary = `${file}.${randomUUID()}.tmp`;
  const handle = await open(temporary, 'wx', 0o600);
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(temporary, file);
  const folder = await open(join(file, '..'), 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
