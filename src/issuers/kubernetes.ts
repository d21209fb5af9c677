/**
 * Kubernetes logins: a service account, one binding of the role to it, and one token for it, in this order. The token is the
 * only secret and the last step; it is in the answer to that step alone, so nothing that was sent before it lets anybody in.
 * A process that was paused finds its deadline passed at the next answer: it then drops the token unseen and takes the rest
 * away again. What the API server gets late is given up there too (`timeout`).
 *
 * The end: first the binding, with which the rights are gone within milliseconds, then the account, with which its tokens are.
 * An API server may remember for ten seconds that a token was good, hence that order. Streams that are open (`exec`, `attach`,
 * `port-forward`, `logs -f`) were let in before and may go on: the proof says so.
 *
 * Why not certificates: a cluster cannot revoke one, it lives for ten minutes at least, and who may approve requests for
 * `kubernetes.io/kube-apiserver-client` can be any user of the cluster. With tokens the broker never touches the cluster's CA
 * and may bind nothing but the roles it was given by name.
 *
 * A token lives for ten minutes at least. Where a login is to end earlier, the broker ends it; were the broker gone, the token
 * would outlive its window by minutes.
 */
import { isForbiddenRole } from '../catalogue/targets/kubernetes.ts';
import type { KubernetesRole, Resource } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import type { EndInput, EndReport, Issued, IssueInput, Issuer, Proof } from './issuer.ts';
import { createKubernetesApi, type KubernetesAccess, kubernetesSettings } from './kubernetes-api.ts';
import { checkKubernetes } from './kubernetes-check.ts';
import { createDeadline } from './kubernetes-deadline.ts';
import { kubernetesGuide } from './kubernetes-guide.ts';
import { issueToken } from './kubernetes-issue.ts';
import { accountsPath, bindingsPath, chooseUserName, namesOf } from './kubernetes-names.ts';
import { surveyLogins } from './kubernetes-survey.ts';

const UNDO_MS = 3_000;
const METHOD =
  'service account and binding absent, read back; open exec, attach and port-forward streams may go on';

export interface KubernetesIssuerOptions extends KubernetesAccess {
  /** The broker's name at its targets: tells its logins from those of others. */
  installation: string;
}

export function createKubernetesIssuer(options: KubernetesIssuerOptions): Issuer {
  const api = createKubernetesApi(options);

  async function issue(input: IssueInput): Promise<Issued> {
    const { subject, material, handle } = input;
    const { resource } = subject;
    if (material.kind !== 'kubernetes') throw new AppError('invalid_request', 'not a request for a token');
    const role = roleOf(resource, subject.role);
    if (!role) throw new AppError('target_refused', `${resource.id} has no role ${subject.role}`);
    if (isForbiddenRole(role.name)) {
      throw new AppError('target_refused', `${role.name} is never handed out`, {
        hint: 'bind a role of your own',
      });
    }
    const names = namesOf(handle);
    const deadline = createDeadline(input);
    try {
      const steps = { api, installation: options.installation, deadline };
      const token = await issueToken(steps, input, role, names);
      return {
        publicPart: await publicPartOf(resource, role, await input.seal(Buffer.from(token.text))),
        expiresAtMs: Math.min(input.expiresAtMs, input.nowMs + token.lifeMs),
      };
    } catch (error) {
      // Whoever ends what was half made may have done so before this process woke up: nobody else would come back for the rest.
      if (deadline.isPast()) await undo(input, handle);
      throw error;
    }
  }

  async function undo(input: IssueInput, handle: string): Promise<void> {
    const { subject, expiresAtMs, nowMs } = input;
    const signal = AbortSignal.timeout(UNDO_MS);
    // If this fails too, what is left is an account whose token nobody has: the sweep for orphans finds it.
    await end({ subject, handle, publicPart: undefined, expiresAtMs, nowMs, signal }).catch(() => undefined);
  }

  async function end({ subject, handle, signal }: EndInput): Promise<EndReport> {
    for (const path of pathsOf(subject.resource, subject.role, handle)) {
      const body = { apiVersion: 'v1', kind: 'DeleteOptions', propagationPolicy: 'Background' };
      const answer = await api.call(subject.resource, { method: 'DELETE', path, body, signal });
      if (answer.kind === 'conflict') {
        throw new AppError('target_unreachable', `${subject.resource.id} could not delete the login yet`);
      }
    }
    return { sessionsEnded: 0, leftovers: [] };
  }

  async function prove({ subject, handle, nowMs, signal }: EndInput): Promise<Proof> {
    for (const path of pathsOf(subject.resource, subject.role, handle)) {
      const answer = await api.call(subject.resource, { method: 'GET', path, signal });
      if (answer.kind === 'absent') continue;
      const what = path.includes('/serviceaccounts/') ? 'the service account' : 'the binding';
      return { state: 'unproven', method: METHOD, reason: `${what} exists` };
    }
    return { state: 'proven', method: METHOD, at: nowMs };
  }

  async function publicPartOf(
    resource: Resource,
    { namespace }: KubernetesRole,
    sealedToken: string,
  ): Promise<Issued['publicPart']> {
    const { server, caFile } = kubernetesSettings(resource);
    const caPem = caFile === undefined ? undefined : await options.readCa(caFile);
    return {
      kind: 'kubernetes',
      server,
      ...(caPem !== undefined && { caPem }),
      ...(namespace !== undefined && { namespace }),
      sealedToken,
    };
  }

  return {
    kind: 'kubernetes',
    expiry: 'target',
    renewal: 'reissue',
    chooseHandle: chooseUserName,
    issue,
    async renew() {
      throw new AppError('internal', 'Kubernetes tokens are issued anew, not renewed');
    },
    end,
    prove,
    survey: (resource, signal) => surveyLogins(api, resource, options.installation, signal),
    guide: kubernetesGuide,
    check: (resource, signal) => checkKubernetes(api, resource, signal),
    close: () => api.close(),
  };
}

function roleOf(resource: Resource, role: string): KubernetesRole | undefined {
  return kubernetesSettings(resource).roles.get(role);
}

/** The binding, where the role was one that could be bound; then the account. */
function pathsOf(resource: Resource, roleName: string, handle: string): string[] {
  const names = namesOf(handle);
  const role = roleOf(resource, roleName);
  return [
    ...(role ? [`${bindingsPath(role)}/${encodeURIComponent(names.binding)}`] : []),
    `${accountsPath(names.namespace)}/${names.account}`,
  ];
}
