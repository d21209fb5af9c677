import { generateKeyPairSync } from 'node:crypto';
import { PEOPLE } from '../support/installation.ts';

/** PEOPLE and a service that nobody can reach: what is issued is real, its end is proven by time alone. */
export function withX509(): string {
  return `${PEOPLE}
resources:
  tool:
    type: x509
    service: orders
    environment: production
    sensitivity: medium
    session: { default: 1h, max: 3h, maxExtensions: 2 }
    url: https://localhost:1/
    roles:
      read: {}
      write: {}
`;
}

/** PEOPLE and a tool that nobody can reach. */
export function withHttp(): string {
  return withX509().replace('type: x509', 'type: http');
}

/** A fresh key of the device's, its public half. */
export function x509Material(): { kind: 'x509'; publicKey: string } {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { kind: 'x509', publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64') };
}
