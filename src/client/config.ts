/**
 * `config.yaml`: which broker, how to know it again, and who this device is. Nothing in it is secret, all of it is pinned:
 * whoever can edit it chooses the broker. People may edit `ca` and `agent`; the rest is written by `oncall enroll`, in the part of YAML that
 * is JSON too (YAML 1.2 section 1.3): as long as it stays so, no command loads the YAML package, half of node's own start.
 */
import { AppError } from '../protocol/errors.ts';
import type { KeystoreKind } from '../protocol/messages.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import { readSafeFile } from './files.ts';
import type { ClientPaths } from './paths.ts';
import { writeFileAtomic } from './write-files.ts';

const VERSION = 1;

export interface DeviceConfig {
  readonly id: string;
  /** Thumbprint of the signing key; also the record's name in the keystore. */
  readonly keyId: string;
  readonly name: string;
  readonly keystore: KeystoreKind;
  /** With `ssh-agent`: the public key line, `ssh-ed25519 AAAA…`, that the agent signs with. */
  readonly sshAgentKey?: string;
  /** With `ssh-agent`: where sealing and cache keys are. Without it nothing is cached at rest. */
  readonly secondKeystore?: 'keychain' | 'file';
}

export interface ClientConfig {
  readonly version: typeof VERSION;
  /** Base URL of the broker: the one authority that signatures name. Ends in a slash. */
  readonly broker: string;
  /** `ed25519:…`. */
  readonly identityKey: string;
  /** PEM of the broker's own CA; needed with `ca: pinned` over TLS. */
  readonly identityCertificate?: string;
  readonly logKey: string;
  /** The audit log's name. */
  readonly origin: string;
  /** `pinned`, `system`, or the absolute path of a PEM file. */
  readonly ca: string;
  readonly user: string;
  /** `off`: commands use and start no agent. */
  readonly agent?: 'on' | 'off';
  readonly device: DeviceConfig;
}

/** Undefined where this machine is not enrolled. Throws AppError `config_invalid` and `unsafe_file`. */
export async function loadConfig(paths: ClientPaths): Promise<ClientConfig | undefined> {
  const bytes = readSafeFile(paths.configFile);
  if (bytes === undefined) return undefined;
  const text = bytes.toString('utf8');
  return parseConfig(readAsJson(text) ?? (await readAsYaml(text, paths)), paths);
}

/** Undefined for what is not JSON below comment lines. */
function readAsJson(text: string): unknown {
  try {
    return parseStrictJson(Buffer.from(text.replace(/^(?:#.*\n)*/, '')));
  } catch {
    return undefined;
  }
}

async function readAsYaml(text: string, paths: ClientPaths): Promise<unknown> {
  const { parseDocument } = await import('yaml');
  const document = parseDocument(text, {
    strict: true,
    uniqueKeys: true,
    prettyErrors: true,
  });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) throw invalid(paths, `is not YAML: ${problem.message.split('\n')[0]}`, problem);
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw invalid(paths, 'is not YAML without aliases', cause);
  }
}

export async function saveConfig(paths: ClientPaths, config: ClientConfig): Promise<void> {
  const { version, broker, ca, ...rest } = config;
  const text = JSON.stringify({ version, broker, ca, ...rest }, null, 2);
  await writeFileAtomic(
    paths.configFile,
    `# Written by oncall enroll. "ca" may be pinned, system or a PEM file; "agent": "off" keeps the agent away.\n${text}\n`,
  );
}

/** Which keys there may be, and whether each must be there. */
const SHAPE = {
  version: true,
  broker: true,
  identityKey: true,
  identityCertificate: false,
  logKey: true,
  origin: true,
  ca: true,
  user: true,
  agent: false,
  device: true,
};
const DEVICE_SHAPE = {
  id: true,
  keyId: true,
  name: true,
  keystore: true,
  sshAgentKey: false,
  secondKeystore: false,
};

function parseConfig(value: unknown, paths: ClientPaths): ClientConfig {
  const root = record(value, '', paths);
  // Before the keys are looked at: a newer version may have keys that we don't know.
  if (typeof root.version === 'number' && root.version > VERSION) {
    throw new AppError('config_invalid', `${paths.configFile} was written by a newer oncall`, {
      hint: 'update oncall on this machine',
    });
  }
  if (root.version !== VERSION) throw invalid(paths, `needs \`version: ${VERSION}\``);
  const { device: deviceValue, version: _, ...top } = root;
  const device = record(deviceValue, 'device', paths);
  const strings = texts({ ...top }, omit(SHAPE, 'version', 'device'), '', paths);
  const deviceTexts = texts(device, DEVICE_SHAPE, 'device.', paths);
  const { keystore, secondKeystore, sshAgentKey } = deviceTexts;
  if (keystore !== 'keychain' && keystore !== 'ssh-agent' && keystore !== 'file') {
    throw invalid(paths, 'device.keystore must be keychain, ssh-agent or file');
  }
  if (secondKeystore !== undefined && secondKeystore !== 'keychain' && secondKeystore !== 'file') {
    throw invalid(paths, 'device.secondKeystore must be keychain or file');
  }
  if (keystore === 'ssh-agent' && sshAgentKey === undefined)
    throw invalid(paths, 'lacks `device.sshAgentKey`');
  const {
    broker = '',
    identityKey = '',
    identityCertificate,
    logKey = '',
    origin = '',
    ca = '',
    user = '',
    agent,
  } = strings;
  if (!URL.canParse(broker)) throw invalid(paths, 'broker is not a URL');
  if (ca !== 'pinned' && ca !== 'system' && !ca.startsWith('/') && !/^[A-Za-z]:[\\/]/.test(ca)) {
    throw invalid(paths, 'ca must be pinned, system or the absolute path of a PEM file');
  }
  if (agent !== undefined && agent !== 'on' && agent !== 'off')
    throw invalid(paths, 'agent must be on or off');
  const { id = '', keyId = '', name = '' } = deviceTexts;
  return {
    version: VERSION,
    broker,
    identityKey,
    ...(identityCertificate === undefined ? {} : { identityCertificate }),
    logKey,
    origin,
    ca,
    user,
    ...(agent === undefined ? {} : { agent }),
    device: {
      id,
      keyId,
      name,
      keystore,
      ...(sshAgentKey === undefined ? {} : { sshAgentKey }),
      ...(secondKeystore === undefined ? {} : { secondKeystore }),
    },
  };
}

/** Every value a string, no key that `shape` doesn't have, none missing that it demands. */
function texts(
  values: Record<string, unknown>,
  shape: Readonly<Record<string, boolean>>,
  prefix: string,
  paths: ClientPaths,
): Record<string, string | undefined> {
  const out: Record<string, string | undefined> = {};
  for (const [key, value] of Object.entries(values)) {
    if (!Object.hasOwn(shape, key)) {
      throw invalid(
        paths,
        `has an unknown key \`${prefix}${key}\``,
        undefined,
        `known are ${Object.keys(shape).join(', ')}`,
      );
    }
    if (typeof value !== 'string' || value === '') throw invalid(paths, `\`${prefix}${key}\` is not text`);
    out[key] = value;
  }
  for (const [key, needed] of Object.entries(shape)) {
    if (needed && out[key] === undefined) throw invalid(paths, `lacks \`${prefix}${key}\``);
  }
  return out;
}

function record(value: unknown, name: string, paths: ClientPaths): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw invalid(paths, name === '' ? 'does not hold a configuration' : `lacks \`${name}\``);
  }
  return { ...value };
}

function omit(shape: Readonly<Record<string, boolean>>, ...keys: string[]): Record<string, boolean> {
  return Object.fromEntries(Object.entries(shape).filter(([key]) => !keys.includes(key)));
}

function invalid(paths: ClientPaths, what: string, cause?: unknown, hint?: string): AppError {
  return new AppError('config_invalid', `${paths.configFile} ${what}`, {
    hint: hint ?? 'put back what oncall enroll wrote there',
    cause,
  });
}
