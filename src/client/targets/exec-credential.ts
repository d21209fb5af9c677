/**
 * What kubectl and other users of client-go are told by a credential plugin: an ExecCredential on stdout, in the version that
 * they ask for in KUBERNETES_EXEC_INFO. Source: Kubernetes documentation, "client-go credential plugins". `v1` came with
 * kubectl 1.22; the older `v1beta1`, which kubectl 1.20 still wants, has the same status.
 */
import { AppError } from '../../protocol/errors.ts';

export const EXEC_VERSIONS = [
  'client.authentication.k8s.io/v1',
  'client.authentication.k8s.io/v1beta1',
] as const;
export type ExecVersion = (typeof EXEC_VERSIONS)[number];

/** `text` is an ExecCredential of ours. Throws AppError `usage` where another version is asked for, or something else. */
export function answerExecCredential(text: string, execInfo: string | undefined): string {
  // Typed by hand, to look at it.
  if (execInfo === undefined || execInfo === '') return text;
  const apiVersion = askedVersion(execInfo);
  return `${JSON.stringify({ ...(JSON.parse(text) as object), apiVersion })}\n`;
}

/** When the credential in it ends, milliseconds since 1970; 0 where it is damaged. */
export function execCredentialEnd(text: string): number {
  try {
    const { status } = JSON.parse(text) as { status: { expirationTimestamp: string } };
    return Date.parse(status.expirationTimestamp) || 0;
  } catch {
    return 0;
  }
}

function askedVersion(execInfo: string): ExecVersion {
  let asked: unknown;
  try {
    const info = JSON.parse(execInfo) as { apiVersion?: unknown; kind?: unknown } | null;
    if (info?.kind === 'ExecCredential') asked = info.apiVersion;
  } catch {
    // Reported below.
  }
  const version = EXEC_VERSIONS.find((known) => known === asked);
  if (version !== undefined) return version;
  throw new AppError('usage', 'KUBERNETES_EXEC_INFO asks for what we do not know', {
    hint: `write apiVersion: ${EXEC_VERSIONS[0]} in the kubeconfig, or run: oncall setup kubectl`,
  });
}
