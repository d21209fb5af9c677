/** Services that speak mutual TLS: a key pair made here, and a certificate over it, as PEM files. */
import { join } from 'node:path';
import { grantFolder } from '../session-paths.ts';
import type { ClientTarget, Held, Material, SecretOf } from './client-target.ts';
import { plain } from './config-text.ts';
import { withCurlOptions } from './curl.ts';
import { webEnvironment } from './web-environment.ts';

const NAMES = { certificate: 'cert.pem', key: 'key.pem', both: 'client.pem', ca: 'ca.pem' };

export const X509: ClientTarget<'x509'> = {
  createMaterial: async () => materialOf(await createX509Key()),

  /** One key a grant: a renewal then changes the certificate alone, and no tool sees a pair that does not match. */
  reuse: materialOf,

  files: ({ publicPart, secret }) => ({
    [NAMES.key]: secret.privateKey,
    [NAMES.certificate]: publicPart.certificate,
    [NAMES.both]: `${publicPart.certificate}${secret.privateKey}`,
    ...(publicPart.caPem === undefined ? {} : { [NAMES.ca]: publicPart.caPem }),
  }),

  joined: [],

  environment: (paths, credentials) =>
    webEnvironment(credentials, ({ grantId, publicPart }) => {
      const folder = grantFolder(paths, grantId);
      return {
        ONCALL_URL: plain(publicPart.url),
        ONCALL_CERT: join(folder, NAMES.certificate),
        ONCALL_KEY: join(folder, NAMES.key),
        ...(publicPart.caPem === undefined ? {} : { ONCALL_CA: join(folder, NAMES.ca) }),
      };
    }),

  /** curl reads client certificates from no environment variable, so its options are put in, unless the command has them. */
  adaptCommand: (command, paths, credentials) =>
    withCurlOptions(
      command,
      credentials,
      ['--cert', '-E', '--key'],
      ({ grantId, publicPart }: Held<'x509'>) => {
        const folder = grantFolder(paths, grantId);
        return [
          ...['--cert', join(folder, NAMES.certificate), '--key', join(folder, NAMES.key)],
          ...(publicPart.caPem === undefined ? [] : ['--cacert', join(folder, NAMES.ca)]),
        ];
      },
    ),

  secretEnvironment: () => ({}),
  formats: { pem: NAMES.both },
  usualFormat: 'pem',
  tool: ({ url }) => ['curl', url],
};

export async function createX509Key(): Promise<SecretOf<'x509'>> {
  const { generateKeyPairSync } = await import('node:crypto');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return {
    kind: 'x509',
    privateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
  };
}

function materialOf(secret: SecretOf<'x509'>): Material<'x509'> {
  return { material: { kind: 'x509', publicKey: secret.publicKey }, secretFor: async () => secret };
}
