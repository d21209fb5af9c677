/** Tools behind a proxy that wants a bearer token: the broker makes it and seals it to this device. */
import { join } from 'node:path';
import { grantFolder } from '../session-paths.ts';
import type { ClientTarget, Held } from './client-target.ts';
import { plain, unsafeValue } from './config-text.ts';
import { withCurlOptions } from './curl.ts';
import { webEnvironment } from './web-environment.ts';

const NAMES = { token: 'token', header: 'header', curl: 'curl.conf', ca: 'ca.pem' };

export const HTTP: ClientTarget<'http'> = {
  async createMaterial() {
    return {
      material: { kind: 'http' },
      secretFor: async ({ sealedToken }, unseal) => ({
        kind: 'http',
        token: requireToken(Buffer.from(await unseal(sealedToken)).toString('latin1')),
      }),
    };
  },

  files({ publicPart, secret }) {
    const token = requireToken(secret.token);
    return {
      [NAMES.token]: token,
      [NAMES.header]: `Authorization: Bearer ${token}\n`,
      // Unlike a header of one's own, curl never sends it on to where it is redirected.
      [NAMES.curl]: `oauth2-bearer = "${token}"\n`,
      ...(publicPart.caPem === undefined ? {} : { [NAMES.ca]: publicPart.caPem }),
    };
  },

  joined: [],

  environment: (paths, credentials) =>
    webEnvironment(credentials, ({ grantId, publicPart }) => {
      const folder = grantFolder(paths, grantId);
      return {
        ONCALL_URL: plain(publicPart.url),
        ONCALL_TOKEN_FILE: join(folder, NAMES.token),
        ...(publicPart.caPem === undefined ? {} : { ONCALL_CA: join(folder, NAMES.ca) }),
      };
    }),

  /** The token reaches curl in a file: arguments are everybody's to read, and the environment is passed on to whatever it starts. */
  adaptCommand: (command, paths, credentials) =>
    withCurlOptions(command, credentials, ['--oauth2-bearer', '--user', '-u'], (held: Held<'http'>) => {
      const folder = grantFolder(paths, held.grantId);
      return [
        ...['--config', join(folder, NAMES.curl)],
        ...(held.publicPart.caPem === undefined ? [] : ['--cacert', join(folder, NAMES.ca)]),
      ];
    }),

  secretEnvironment: ({ token }) => ({ ONCALL_TOKEN: token }),
  formats: { header: NAMES.header, token: NAMES.token },
  usualFormat: 'header',
  tool: ({ url }) => ['curl', url],
};

/** A JWT in its compact form (RFC 7515 section 3.1): nothing in it to escape anywhere. */
function requireToken(text: string): string {
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(text)) throw unsafeValue();
  return text;
}
