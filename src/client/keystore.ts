/**
 * Where a device's secret keys rest. One record a device, so that one command asks once.
 *
 * Contract. `load` throws AppError `keychain_locked` (there, but shut: exit 9), `keychain_unavailable` (no such store here:
 * exit 1) or `not_enrolled` (open, and nothing in it: exit 4). These three are never mixed up: a locked keychain must never
 * lead to a second enrolment. `save` replaces; `remove` of what isn't there is fine. Each answers within a time limit.
 */
import type { ClientContext } from './context.ts';
import type { DeviceRecord } from './device-record.ts';
import type { Environment } from './paths.ts';

export interface Keystore {
  readonly kind: 'keychain' | 'file';
  /** `keyId` is the thumbprint of the device's signing key. */
  load(keyId: string): Promise<DeviceRecord>;
  save(keyId: string, record: DeviceRecord): Promise<void>;
  remove(keyId: string): Promise<void>;
}

/** `newPassphrase` protects what the file keystore saves; the keychain has its own protection and ignores it. */
export async function openKeystore(
  kind: 'keychain' | 'file',
  context: ClientContext,
  newPassphrase?: string,
): Promise<Keystore> {
  if (kind === 'keychain') return (await import('./keystore-keychain.ts')).createKeychainKeystore(context);
  return (await import('./keystore-file.ts')).createFileKeystore(context, newPassphrase);
}

/** What tells hosts without a usable keychain from others. Gathered by {@link readHostFacts}. */
export interface HostFacts {
  readonly platform: string;
  /** Content of /proc/version, empty elsewhere. */
  readonly kernel: string;
  readonly isContainer: boolean;
}

export interface KeystoreAdvice {
  readonly keystore: 'keychain' | 'file';
  /** Why, for a person; lower case, no full stop. */
  readonly why: string;
}

/** Which keystore a host should enrol with. Pure. */
export function recommendKeystore(env: Environment, facts: HostFacts): KeystoreAdvice {
  if (facts.platform !== 'linux') return { keystore: 'keychain', why: 'the system keychain is there' };
  if (facts.isContainer) return { keystore: 'file', why: 'a container has no keychain of its own' };
  if (env.DBUS_SESSION_BUS_ADDRESS)
    return { keystore: 'keychain', why: 'a desktop session with its keychain is there' };
  if (env.WSL_DISTRO_NAME || /microsoft/i.test(facts.kernel)) {
    return { keystore: 'file', why: 'WSL has no keychain unless one is installed and unlocked by hand' };
  }
  return {
    keystore: 'file',
    why: 'no desktop session is here (DBUS_SESSION_BUS_ADDRESS is not set), so no keychain',
  };
}

export async function readHostFacts(): Promise<HostFacts> {
  const { existsSync, readFileSync } = await import('node:fs');
  const { platform } = await import('node:os');
  return {
    platform: platform(),
    kernel: existsSync('/proc/version') ? readFileSync('/proc/version', 'utf8') : '',
    isContainer: existsSync('/.dockerenv') || existsSync('/run/.containerenv'),
  };
}
