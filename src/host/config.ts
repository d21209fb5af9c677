/**
 * `/etc/oncall/host.json`, as `oncall broker target` prints it: which broker, how to know it, and where this host's logs are. Nothing in
 * it is secret; whoever can write it decides whom the host tells, so it is root's alone to write.
 */

import { readSafeFile } from '../client/files.ts';
import { AppError } from '../protocol/errors.ts';
import { parsePublicKey } from '../protocol/keys.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';

export interface HostConfig {
  /** Base URL. */
  readonly broker: string;
  /** `ed25519:…`. */
  readonly identityKey: string;
  /** PEM of the identity key's certificate; needed with `ca: pinned` over TLS. */
  readonly identityCertificate?: string;
  /** `pinned`, `system`, or the absolute path of a PEM file. */
  readonly ca: string;
  /** Where key, positions and what was not shipped yet are kept. */
  readonly state: string;
  readonly ssh?: {
    /** Where sshd looks for the revocation list; it is put there as `krl`, its number as `krl.number`. */
    readonly folder: string;
    /** `journal`, or the file that syslog writes. */
    readonly log: string;
  };
  readonly postgres?: {
    /** Of `log_destination = jsonlog`; `*` in the name stands for what the server puts there. */
    readonly log: string;
  };
}

export const CONFIG_FILE = '/etc/oncall/host.json';

/** Throws AppError `config_invalid` and `unsafe_file`. */
export function readHostConfig(path: string): HostConfig {
  const bytes = readSafeFile(path);
  if (bytes === undefined) {
    throw new AppError('config_invalid', `there is no ${path}`, {
      hint: 'oncall broker target RESOURCE, on the broker, prints what goes there',
    });
  }
  const invalid = (what: string, cause?: unknown) =>
    new AppError('config_invalid', `${path} ${what}`, {
      hint: 'put back what oncall broker target printed',
      cause,
    });
  let value: unknown;
  try {
    value = parseStrictJson(bytes);
  } catch (cause) {
    throw invalid('is not JSON', cause);
  }
  const root = membersOf(value, {
    ...{ version: true, broker: true, identityKey: true, identityCertificate: false },
    ...{ ca: true, state: true, ssh: false, postgres: false },
  });
  const ssh = root?.ssh === undefined ? undefined : membersOf(root.ssh, { folder: true, log: true });
  const postgres = root?.postgres === undefined ? undefined : membersOf(root.postgres, { log: true });
  if (root === undefined || root.version !== 1) throw invalid('has not the form that this oncall knows');
  const { broker, identityKey, identityCertificate, ca, state } = root;
  if (typeof broker !== 'string' || !URL.canParse(broker)) throw invalid('names no broker');
  if (!isText(identityKey) || !isKey(identityKey)) throw invalid('has no identity key');
  if (!isText(ca) || (ca !== 'pinned' && ca !== 'system' && !ca.startsWith('/')))
    throw invalid('has a bad ca');
  if (!isPath(state)) throw invalid('has no state folder');
  if (identityCertificate !== undefined && !isText(identityCertificate))
    throw invalid('has a bad certificate');
  if (root.ssh !== undefined && !(isPath(ssh?.folder) && (ssh?.log === 'journal' || isPath(ssh?.log))))
    throw invalid('has a bad `ssh`: folder and log');
  if (root.postgres !== undefined && !isPath(postgres?.log)) throw invalid('has a bad `postgres`: log');
  if (ssh === undefined && postgres === undefined)
    throw invalid('names nothing to watch: neither ssh nor postgres');
  return value as HostConfig;
}

/** Undefined for what is no object, has members that are unknown, or lacks one that must be there. */
function membersOf(
  value: unknown,
  shape: Readonly<Record<string, boolean>>,
): Record<string, unknown> | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const members = { ...value } as Record<string, unknown>;
  const isWhole = Object.entries(shape).every(([name, isNeeded]) => !isNeeded || name in members);
  return isWhole && Object.keys(members).every((name) => Object.hasOwn(shape, name)) ? members : undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

function isPath(value: unknown): value is string {
  return isText(value) && value.startsWith('/');
}

function isKey(text: string): boolean {
  try {
    return parsePublicKey(text).asymmetricKeyType === 'ed25519';
  } catch {
    return false;
  }
}
