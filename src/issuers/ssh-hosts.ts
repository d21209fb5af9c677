/** What a device and the broker's own probe need to know of an SSH target's hosts. */
import { randomBytes } from 'node:crypto';
import type { Resource, SshHost, SshSettings } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';

export function sshSettings(resource: Resource): SshSettings {
  if (resource.target.kind !== 'ssh') throw new AppError('internal', 'not an ssh resource');
  return resource.target;
}

/** sshd maps it to an account by the principals file of that account. */
export function principalOf(resource: string, role: string): string {
  return `oncall:${resource}:${role}`;
}

/** known_hosts lines (sshd(8), SSH_KNOWN_HOSTS FILE FORMAT), so that the first connection asks nothing. */
export function knownHostsOf({ hosts, hostCa }: SshSettings): string[] {
  return hosts.flatMap((host) => [
    ...host.hostKeys.map((key) => `${hostPattern(host)} ${key}`),
    ...(hostCa === undefined ? [] : [`@cert-authority ${hostPattern(host)} ${hostCa}`]),
  ]);
}

function hostPattern({ host, port }: SshHost): string {
  return port === 22 ? host : `[${host}]:${port}`;
}

/** A handle. Random, so that nobody can tell from one how many there were. 1 to 2^63 - 1: signed integers hold it. */
export function chooseSerial(): string {
  const serial = randomBytes(8).readBigUInt64BE() >> 1n;
  return serial === 0n ? chooseSerial() : serial.toString();
}
