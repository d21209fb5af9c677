/**
 * The keys that tokens are signed with: one in use, the next one, which verifiers have long seen when its day comes, and the last
 * one, for the tokens that are still out. P-256, as PKCS#8 PEM files of 0600. An installation made before there were tokens has
 * none until `oncall broker rotate tokens`: brokers that share a store must have the same, so none makes its own.
 */
import { createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { type TokenKey, type TokenKeys, tokenKey } from '../issuers/http-token.ts';
import { AppError } from '../protocol/errors.ts';
import { readSecretFile, writeSecretFile } from './keys.ts';

const FILES = { current: 'token.key', next: 'token-next.key', last: 'token-last.key' };

export interface TokenKeyring {
  /** Undefined where the installation has none. */
  keys(): TokenKeys | undefined;
  /** Reads the files again. Throws what {@link loadTokenKeys} does, and then leaves the old ones in force. */
  reload(): Promise<void>;
}

export async function openTokenKeyring(directory: string): Promise<TokenKeyring> {
  let current = await loadTokenKeys(directory);
  return {
    keys: () => current,
    async reload() {
      current = await loadTokenKeys(directory);
    },
  };
}

/** Throws AppError `config_invalid` and `unsafe_file`. */
export async function loadTokenKeys(directory: string): Promise<TokenKeys | undefined> {
  const [current, next, last] = await Promise.all([
    loadKey(join(directory, FILES.current)),
    loadKey(join(directory, FILES.next)),
    loadKey(join(directory, FILES.last)),
  ]);
  if (current === undefined) return undefined;
  return { current, others: [next, last].filter((key) => key !== undefined) };
}

/**
 * The next key becomes the one in use, and there is another next one; where there are none, they are made. A crash between two
 * steps leaves keys that are whole and known to whoever has seen the set, and the next call goes on from there.
 */
export async function rotateTokenKeys(directory: string): Promise<'made' | 'rotated'> {
  const [current, next] = [join(directory, FILES.current), join(directory, FILES.next)];
  const [inUse, toCome] = await Promise.all([loadKey(current), loadKey(next)]);
  if (inUse === undefined) {
    await writeKey(next);
    await writeKey(current);
    return 'made';
  }
  if (toCome !== undefined && toCome.id !== inUse.id) {
    await writeSecretFile(join(directory, FILES.last), pemOf(inUse));
    await writeSecretFile(current, pemOf(toCome));
  }
  await writeKey(next);
  return 'rotated';
}

async function loadKey(file: string): Promise<TokenKey | undefined> {
  const isThere = await access(file).then(
    () => true,
    () => false,
  );
  if (!isThere) return undefined;
  const pem = await readSecretFile(file);
  try {
    return tokenKey(createPrivateKey(pem));
  } catch (cause) {
    throw new AppError('config_invalid', `${file} holds no P-256 key`, {
      hint: 'put it back from a backup, or take it away and run oncall broker rotate tokens',
      cause,
    });
  }
}

async function writeKey(file: string): Promise<void> {
  await writeSecretFile(file, pemOf(generateKeyPairSync('ec', { namedCurve: 'P-256' })));
}

function pemOf({ privateKey }: Pick<TokenKey, 'privateKey'>): string {
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}
