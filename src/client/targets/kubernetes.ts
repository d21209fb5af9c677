/**
 * `kubectl` and everything else that reads a kubeconfig. `oncall run` gives it a file of its own, with the token in a file
 * beside it that kubectl reads again when it is renewed. Plain kubectl finds the one of `oncall setup kubectl`, which holds no
 * secret: its users ask `oncall credential` (kubectl-files.ts).
 */
import { delimiter, join } from 'node:path';
import { AppError } from '../../protocol/errors.ts';
import { formatTarget } from '../../protocol/names.ts';
import { formatInstant } from '../../protocol/time.ts';
import { grantFolder } from '../session-paths.ts';
import type { ClientTarget, Held, PartOf } from './client-target.ts';
import { unsafeValue } from './config-text.ts';
import { answerExecCredential, EXEC_VERSIONS, execCredentialEnd } from './exec-credential.ts';
import { contextOf, formatKubeconfig, type Kubeconfig, mergeOpen, ownName } from './kubeconfig.ts';
import { kubectlFiles } from './kubectl-files.ts';

const [KUBECONFIG, TOKEN, EXEC_CREDENTIAL] = ['kubeconfig', 'token', 'exec-credential.json'];
const [CERTIFICATE, KEY] = ['cert.pem', 'key.pem'];
/** RFC 6750 section 2.1. */
const BEARER = /^[A-Za-z0-9._~+/-]{1,16000}=*$/;

export const KUBERNETES: ClientTarget<'kubernetes'> = {
  async createMaterial() {
    return {
      material: { kind: 'kubernetes' },
      secretFor: async ({ sealedToken }, unseal) => {
        const token = Buffer.from(await unseal(sealedToken)).toString('latin1');
        if (!BEARER.test(token))
          throw new AppError('corrupt_file', 'the broker sent a token that is none', {
            hint: 'oncall renew --no-extend fetches another',
          });
        return { kind: 'kubernetes', token };
      },
    };
  },

  files(credential, folder) {
    const { receivedAtMs, lifeSeconds } = credential;
    const { files, shown } = loginOf(credential);
    return {
      ...files,
      [KUBECONFIG]: formatKubeconfig(kubeconfigOf(credential, folder)),
      // kubectl holds it against this machine's clock, as we do.
      [EXEC_CREDENTIAL]: `${JSON.stringify({
        apiVersion: EXEC_VERSIONS[0],
        kind: 'ExecCredential',
        status: {
          ...shown,
          expirationTimestamp: formatInstant(receivedAtMs + Math.floor(lifeSeconds) * 1000),
        },
      })}\n`,
    };
  },

  joined: [KUBECONFIG],
  join: mergeOpen,

  toolFiles: ({ paths, joined, known }) => kubectlFiles(paths, joined(KUBECONFIG), known),

  environment: (paths, credentials) => ({
    KUBECONFIG: credentials
      .map(({ grantId }) => join(grantFolder(paths, grantId), KUBECONFIG))
      .join(delimiter),
  }),

  secretEnvironment: () => ({}),
  formats: { kubectl: EXEC_CREDENTIAL },
  goodUntilMs: execCredentialEnd,
  answer: (_format, text, env) => answerExecCredential(text, env.KUBERNETES_EXEC_INFO),
  usualFormat: 'kubectl',
  tool: () => ['kubectl'],
};

/** The files of what logs in, and the same as a plugin answers it. */
function loginOf({ secret, publicPart }: Held<'kubernetes'>) {
  if ('token' in secret) return { files: { [TOKEN]: secret.token }, shown: { token: secret.token } };
  const { certificate } = publicPart;
  if (certificate === undefined)
    throw new AppError('corrupt_file', 'the certificate is missing', {
      hint: 'oncall break-glass opens another',
    });
  return {
    files: { [CERTIFICATE]: certificate, [KEY]: secret.privateKey },
    shown: { clientCertificateData: certificate, clientKeyData: secret.privateKey },
  };
}

function kubeconfigOf({ publicPart, secret, target }: Held<'kubernetes'>, folder: string): Kubeconfig {
  const own = ownName(formatTarget(target));
  const context = contextOf(own, own, publicPart.namespace);
  return {
    clusters: [{ name: own, cluster: clusterOf(publicPart) }],
    users: [
      {
        name: own,
        user:
          'token' in secret
            ? { tokenFile: join(folder, TOKEN) }
            : { 'client-certificate': join(folder, CERTIFICATE), 'client-key': join(folder, KEY) },
      },
    ],
    contexts: [
      { name: target.resource, context },
      { name: formatTarget(target), context },
    ],
    'current-context': target.resource,
  };
}

function clusterOf({ server, caPem }: PartOf<'kubernetes'>) {
  // The token goes there: never in the clear, whatever the broker says.
  if (!URL.canParse(server) || new URL(server).protocol !== 'https:') throw unsafeValue();
  return {
    server,
    ...(caPem !== undefined && { 'certificate-authority-data': Buffer.from(caPem).toString('base64') }),
  };
}
