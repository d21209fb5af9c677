import { generateKeyPairSync } from 'node:crypto';
import { formatSshPublicKey } from '../../src/protocol/ssh-wire.ts';
import { PEOPLE } from '../support/installation.ts';

/** PEOPLE and an SSH resource whose one host nobody can reach: what is issued is real, its end is proven by time alone. */
export function withSsh(): string {
  const hostKey = formatSshPublicKey(generateKeyPairSync('ed25519').publicKey).trim();
  return `${PEOPLE}
resources:
  db-host:
    type: ssh
    service: orders
    environment: production
    sensitivity: medium
    defaultRole: shell
    session: { default: 1h, max: 3h, maxExtensions: 2 }
    credential: 5m
    hosts:
      - { name: db-host-1, host: 127.0.0.1, port: 1, hostKeys: ["${hostKey}"] }
    roles:
      shell: { login: ops }
      root: { login: root }
`;
}

/** A fresh key of the device's, its public half. */
export function sshMaterial(): { kind: 'ssh'; publicKey: string } {
  return { kind: 'ssh', publicKey: formatSshPublicKey(generateKeyPairSync('ed25519').publicKey) };
}
