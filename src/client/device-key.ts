/** The keys that make a device: signing (what requests are signed with), sealing (X25519), and the cache's own key. */
import { createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import { formatPublicKey, keyThumbprint, type SigningAlgorithm } from '../protocol/keys.ts';
import type { DeviceConfig } from './config.ts';
import type { ClientContext } from './context.ts';
import type { DeviceRecord } from './device-record.ts';
import { openKeystore } from './keystore.ts';

const ENROLL_ANEW = 'ask for an invitation, then: oncall enroll INVITATION';

export interface DeviceSigner {
  readonly keyId: string;
  readonly alg: SigningAlgorithm;
  /** 64 bytes; for P-256 as IEEE P1363. */
  sign(base: Uint8Array): Promise<Uint8Array>;
}

/** What a command needs of its device's secrets, from one call to the keystore. */
export interface Device {
  readonly signer: DeviceSigner;
  /** 32 bytes; undefined where nothing may be cached at rest. */
  readonly cacheKey: Uint8Array | undefined;
  /** X25519 private key. */
  readonly sealing: KeyObject | undefined;
  /** What the keystore holds, for handing it to the agent; null where nothing is kept beside the ssh-agent's key. */
  readonly record: DeviceRecord | null;
}

export interface NewDeviceKeys {
  readonly record: DeviceRecord;
  readonly keyId: string;
  /** Text forms, for the broker. */
  readonly signingKey: string;
  readonly sealingKey: string;
}

/** RFC 8410 section 7: what stands before the 32 raw bytes in PKCS#8. */
const PKCS8_PREFIX = {
  ed25519: Buffer.from('302e020100300506032b657004220420', 'hex'),
  x25519: Buffer.from('302e020100300506032b656e04220420', 'hex'),
};

/** New keys. With `agentLine` (a public key line) the signing key is the agent's, and none is made. */
export async function createDeviceKeys(agentLine?: string): Promise<NewDeviceKeys> {
  const random = () => randomBytes(32).toString('base64');
  const record = { signing: agentLine === undefined ? random() : null, sealing: random(), cache: random() };
  return describeKeys(record, agentLine);
}

/** The public side of a record. */
export async function describeKeys(record: DeviceRecord, agentLine?: string): Promise<NewDeviceKeys> {
  const signingKey = formatPublicKey(await signingPublicKey(record, agentLine));
  const sealingKey = formatPublicKey(createPublicKey(rawPrivateKey('x25519', record.sealing)));
  return { record, keyId: keyThumbprint(signingKey), signingKey, sealingKey };
}

async function signingPublicKey(record: DeviceRecord, agentLine: string | undefined): Promise<KeyObject> {
  if (agentLine !== undefined)
    return (await import('../protocol/ssh-wire.ts')).parseSshPublicKey(agentLine).key;
  if (record.signing === null)
    throw new AppError('corrupt_file', 'the keystore lacks the signing key of this device', {
      hint: ENROLL_ANEW,
    });
  return createPublicKey(rawPrivateKey('ed25519', record.signing));
}

/**
 * The device that the configuration names. Throws what the keystore throws, and AppError `corrupt_file` where the key
 * found is not the one that was enrolled.
 */
export async function openDevice(device: DeviceConfig, context: ClientContext): Promise<Device> {
  if (device.keystore === 'ssh-agent') return openAgentDevice(device, context);
  const keystore = await openKeystore(device.keystore, context);
  return deviceOf(device, context, await keystore.load(device.keyId));
}

/** The same from what somebody took out of the keystore. Throws AppError `corrupt_file`, `config_invalid`. */
export async function deviceOf(
  device: DeviceConfig,
  context: ClientContext,
  record: DeviceRecord | null,
): Promise<Device> {
  if (device.keystore === 'ssh-agent') return agentDeviceOf(device, context, record);
  if (record === null)
    throw new AppError('corrupt_file', 'the keys of this device are missing', { hint: ENROLL_ANEW });
  const signer = createSigner(record);
  if (signer.keyId !== device.keyId)
    throw new AppError('corrupt_file', 'the keystore holds the key of another device', { hint: ENROLL_ANEW });
  return { signer, ...restOf(record) };
}

async function openAgentDevice(device: DeviceConfig, context: ClientContext): Promise<Device> {
  const { secondKeystore, keyId } = device;
  const record =
    secondKeystore === undefined ? null : await (await openKeystore(secondKeystore, context)).load(keyId);
  return agentDeviceOf(device, context, record);
}

async function agentDeviceOf(
  { sshAgentKey, keyId }: DeviceConfig,
  context: ClientContext,
  record: DeviceRecord | null,
): Promise<Device> {
  if (sshAgentKey === undefined)
    throw new AppError('config_invalid', 'the configuration names no ssh-agent key', { hint: ENROLL_ANEW });
  const signer = await createAgentSigner(sshAgentKey, context);
  if (signer.keyId !== keyId)
    throw new AppError('config_invalid', 'the ssh-agent key is not the one that was enrolled', {
      hint: 'ssh-add -L lists what the agent holds; with another key: oncall enroll INVITATION',
    });
  return {
    signer,
    ...(record === null ? { cacheKey: undefined, sealing: undefined, record } : restOf(record)),
  };
}

/** Signs with the record's own key. Throws AppError `corrupt_file` where it has none. */
export function createSigner(record: DeviceRecord): DeviceSigner {
  if (record.signing === null)
    throw new AppError('corrupt_file', 'the keystore lacks the signing key of this device', {
      hint: ENROLL_ANEW,
    });
  const key = rawPrivateKey('ed25519', record.signing);
  return {
    keyId: keyThumbprint(formatPublicKey(key)),
    alg: 'ed25519',
    sign: async (base) => sign(null, base, key),
  };
}

/** Signs through the agent with the key of this public key line. */
export async function createAgentSigner(line: string, context: ClientContext): Promise<DeviceSigner> {
  const { algOfLine, signWithAgent } = await import('./keystore-ssh-agent.ts');
  const { parseSshPublicKey } = await import('../protocol/ssh-wire.ts');
  return {
    keyId: keyThumbprint(formatPublicKey(parseSshPublicKey(line).key)),
    alg: algOfLine(line),
    sign: (base) => signWithAgent(context.env, line, base),
  };
}

function restOf(record: DeviceRecord): Pick<Device, 'cacheKey' | 'sealing' | 'record'> {
  const cacheKey = Buffer.from(record.cache, 'base64');
  return { cacheKey, sealing: rawPrivateKey('x25519', record.sealing), record };
}

function rawPrivateKey(kind: keyof typeof PKCS8_PREFIX, base64: string): KeyObject {
  const der = Buffer.concat([PKCS8_PREFIX[kind], Buffer.from(base64, 'base64')]);
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}
