import { AppError } from '../protocol/errors.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';

/** Base64 of raw bytes, 32 each. */
export interface DeviceRecord {
  /** Ed25519 seed; null where an ssh-agent signs. */
  readonly signing: string | null;
  /** X25519 private key. */
  readonly sealing: string;
  /** AES-256 key of the credential cache. */
  readonly cache: string;
}

/** Strict, as everything that is read back. Throws AppError `corrupt_file`. */
export function parseDeviceRecord(text: string): DeviceRecord {
  let value: unknown;
  try {
    value = parseStrictJson(Buffer.from(text));
  } catch (cause) {
    throw corrupt(cause);
  }
  if (
    typeof value !== 'object' ||
    value === null ||
    Object.keys(value).sort().join() !== 'cache,sealing,signing'
  ) {
    throw corrupt();
  }
  const { signing, sealing, cache } = value as Record<string, unknown>;
  if ((signing !== null && !isKey(signing)) || !isKey(sealing) || !isKey(cache)) throw corrupt();
  return { signing, sealing, cache };
}

function isKey(value: unknown): value is string {
  return typeof value === 'string' && /^[A-Za-z0-9+/]{43}=$/.test(value);
}

function corrupt(cause?: unknown): AppError {
  return new AppError('corrupt_file', 'the device keys in the keystore are damaged', {
    hint: 'restore them, or revoke this device and enrol it again',
    cause,
  });
}
