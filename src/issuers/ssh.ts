/**
 * SSH logins: certificates over keys made on the device, minutes long, each with a serial of its own. A host stops taking
 * one at its end by itself, or sooner once it has pulled the revocation list that names the serial. Sessions that are open
 * by then stay open: sshd looks at certificates when one logs in, not later.
 */
import type { KeyObject } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';
import { encodeCertificate } from '../protocol/ssh-certificate.ts';
import { parseSshPublicKey } from '../protocol/ssh-wire.ts';
import type { CredentialSubject, Issued, IssueInput, Issuer } from './issuer.ts';
import type { Revocations } from './revocations.ts';
import { checkSsh } from './ssh-check.ts';
import { sshGuide } from './ssh-guide.ts';
import { chooseSerial, knownHostsOf, principalOf, sshSettings } from './ssh-hosts.ts';
import type { SshProbe } from './ssh-probe.ts';
import { expiryOf, proveRefused, SKEW_MS } from './ssh-prove.ts';

/** Where the catalogue says longer, this is the end all the same: open sessions and unreached hosts rest on it. */
const MAX_LIFE_MS = 300_000;

export interface SshCa {
  /** The blob of its Ed25519 public key. */
  publicKey: Uint8Array;
  /** A raw Ed25519 signature: 64 bytes. */
  sign: (bytes: Uint8Array) => Uint8Array;
}

export interface SshIssuerOptions {
  ca: SshCa;
  revocations: Revocations;
  probe: SshProbe;
  /** Where hosts pull the revocation list from, and the key (its public half is used) that has signed it. */
  publicUrl: string;
  identityKey: KeyObject;
  /** For how long `check` waits for a host to pull the list that revokes the check's own certificate. */
  revocationWaitMs: number;
  /** For `check`. Milliseconds since 1970. */
  now: () => number;
}

export function createSshIssuer(options: SshIssuerOptions): Issuer {
  const { ca, revocations, probe } = options;

  async function issue(input: IssueInput): Promise<Issued> {
    const { subject, material, handle, nowMs } = input;
    const settings = sshSettings(subject.resource);
    if (material.kind !== 'ssh') throw new AppError('invalid_request', 'not an SSH public key');
    const { blob } = parseSshPublicKey(material.publicKey);
    const role = settings.roles.get(subject.role);
    if (!role) throw new AppError('target_refused', `${subject.resource.id} has no role ${subject.role}`);
    requireTime(input.signal);
    const validBeforeSeconds = Math.floor(Math.min(input.expiresAtMs, nowMs + MAX_LIFE_MS) / 1000);
    const { forceCommand, sourceAddress } = role;
    const certificate = encodeCertificate({
      subjectPublicKey: blob,
      serial: parseHandle(handle),
      type: 'user',
      keyId: keyIdOf(subject),
      principals: [principalOf(subject.resource.id, subject.role)],
      validAfterSeconds: Math.floor((nowMs - SKEW_MS) / 1000),
      validBeforeSeconds,
      criticalOptions: {
        ...(forceCommand !== undefined && { 'force-command': forceCommand }),
        ...(sourceAddress !== undefined && { 'source-address': sourceAddress }),
      },
      // No forwarding of ports, agents or X11: a login is for the host itself.
      extensions: forceCommand === undefined ? ['permit-pty'] : [],
      caPublicKey: ca.publicKey,
      sign: ca.sign,
    });
    return {
      publicPart: {
        kind: 'ssh',
        certificate,
        login: role.login,
        hosts: settings.hosts.map(({ name, host, port }) => ({ name, host, port })),
        knownHosts: knownHostsOf(settings),
      },
      expiresAtMs: validBeforeSeconds * 1000,
    };
  }

  return {
    kind: 'ssh',
    expiry: 'target',
    renewal: 'reissue',
    chooseHandle: chooseSerial,
    issue,
    async renew() {
      throw new AppError('internal', 'SSH certificates are issued anew, not renewed');
    },
    async end({ handle, signal, ...input }) {
      const serial = parseHandle(handle).toString();
      requireTime(signal);
      await revocations.revoke({ list: 'ssh', serial, expiresAtMs: expiryOf(input) + SKEW_MS });
      return { sessionsEnded: 0, leftovers: [] };
    },
    prove: (input) => proveRefused(input, ca, probe),
    // Hosts keep no list of certificates.
    survey: async () => ({ persists: false }),
    guide: (resource) => sshGuide(resource, options),
    check: (resource, signal) => checkSsh(resource, signal, options),
    close: async () => undefined,
  };
}

function parseHandle(handle: string): bigint {
  if (!/^[1-9]\d{0,18}$/.test(handle)) throw new AppError('internal', 'not the serial of a certificate');
  return BigInt(handle);
}

/** What sshd logs at each login. The parts are told apart by slashes, so they hold none. */
function keyIdOf({ user, grantId, incident }: CredentialSubject): string {
  const parts = [user, grantId, incident ?? '-'];
  return parts.map((part) => part.replace(/[^A-Za-z0-9._@+-]/g, '_').slice(0, 128)).join('/');
}

function requireTime(signal: AbortSignal): void {
  if (signal.aborted) {
    throw new AppError('target_unreachable', 'the call was stopped', { cause: signal.reason });
  }
}
