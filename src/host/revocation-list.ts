/**
 * The list of revoked SSH certificates, pulled to where sshd reads it: taken if the broker's identity key has signed it and its number
 * is no lower than the last, and swapped in one rename, for sshd refuses everybody without a readable list. Whatever fails leaves
 * the last good one. The files are those of the script in the guide, so that either may follow the other.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, writeFailure } from '../client/files.ts';
import type { Transport } from '../client/transport.ts';
import { AppError } from '../protocol/errors.ts';
import { parsePublicKey } from '../protocol/keys.ts';
import { verifyKrlDocument, verifySignedKrl } from '../protocol/signed-krl.ts';

const TIMEOUT_MS = 10_000;
const MAGIC = Buffer.from('SSHKRL\n\0', 'latin1');

export interface PulledList {
  number: number;
  generatedAtMs: number;
  isNew: boolean;
}

/** Throws AppError `broker_unreachable`, `corrupt_file`, `conflict` (older than the last), `disk_full`. */
export async function pullRevocationList(
  transport: Transport,
  { broker, identityKey }: { broker: string; identityKey: string },
  folder: string,
  signal: AbortSignal,
): Promise<PulledList> {
  const key = parsePublicKey(identityKey);
  const last = readNumber(folder);
  const get = async (path: string) => {
    const url = new URL(broker.replace(/\/*$/, () => path));
    const { status, body } = await transport.send({
      ...{ method: 'GET', url, headers: {}, body: undefined, timeoutMs: TIMEOUT_MS },
      ...{ signal, streams: false, onSent: undefined },
    });
    if (status === 200) return body;
    throw new AppError('broker_unreachable', `the broker has no revocation list to give (HTTP ${status})`);
  };
  const signature = (await get('/v1/krl/ssh.sig')).toString('utf8');
  const { number, generatedAtMs } = verifyKrlDocument(signature, key, last ?? 0);
  if (number === last && isList(join(folder, 'krl'))) return { number, generatedAtMs, isNew: false };
  const krl = await get('/v1/krl/ssh');
  const verified = verifySignedKrl({ krl, signature }, key, last ?? 0);
  if (!krl.subarray(0, MAGIC.length).equals(MAGIC))
    throw new AppError('corrupt_file', 'not a revocation list');
  // The number first: after a crash in between the newer list is pulled again, and an older one is not taken.
  replace(join(folder, 'krl.number'), `${number}\n`);
  replace(join(folder, 'krl'), krl);
  return { ...verified, isNew: true };
}

function readNumber(folder: string): number | undefined {
  const text = readIfThere(join(folder, 'krl.number'))?.toString('latin1') ?? '';
  return /^\d{1,15}\n$/.test(text) ? Number(text) : undefined;
}

function isList(path: string): boolean {
  return readIfThere(path)?.subarray(0, MAGIC.length).equals(MAGIC) ?? false;
}

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return undefined;
    throw writeFailure(error, path);
  }
}

/** sshd reads it as whoever logs in: everybody may. */
function replace(path: string, data: string | Uint8Array): void {
  const temporary = `${path}.pulled`;
  try {
    const file = openSync(temporary, 'w', 0o644);
    try {
      writeFileSync(file, data);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(temporary, path);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw writeFailure(error, path);
  }
}
