/**
 * Names in the cluster. A login acts as `system:serviceaccount:NAMESPACE:oncall-<grant>-<credential>`, which is what the API
 * server's audit log says, and what our handle is; the ids are their 19 characters behind the prefix. Its one binding is named
 * `oncall:gr_<grant>:cr_<credential>`: account names are DNS names (RFC 1123) and take no colon, RBAC names are path segments
 * and do. A renewal is another credential, so no name is ever used twice.
 */
import type { KubernetesRole } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { isId } from '../protocol/ids.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import type { CredentialSubject } from './issuer.ts';
import { kubernetesSettings, pathOf } from './kubernetes-api.ts';

const HANDLE =
  /^system:serviceaccount:([a-z0-9][a-z0-9-]{0,62}):(oncall-([0-9a-hjkmnp-tv-z]{19})-([0-9a-hjkmnp-tv-z]{19}))$/;

const LABELS = { 'app.kubernetes.io/managed-by': 'oncall' };
/** A selector of what has these labels. */
export const MANAGED_BY = 'app.kubernetes.io/managed-by=oncall';

export interface LoginNames {
  /** Of the service account. */
  namespace: string;
  account: string;
  binding: string;
}

/** The same subject always gets the same name. Throws AppError `internal` for ids that are none. */
export function chooseUserName({ credentialId, grantId, resource }: CredentialSubject): string {
  if (!isId(credentialId) || !isId(grantId))
    throw new AppError('internal', 'not the ids of a credential and its grant');
  const { accounts } = kubernetesSettings(resource);
  return `system:serviceaccount:${accounts}:oncall-${grantId.slice(-19)}-${credentialId.slice(-19)}`;
}

/** Nothing but what this issuer names may ever be made or deleted, whatever a row in the store says. */
export function namesOf(handle: string): LoginNames {
  const [, namespace, account, grant, credential] = HANDLE.exec(handle) ?? [];
  if (namespace === undefined || account === undefined) {
    throw new AppError('internal', 'not the user name of a service account of ours');
  }
  return { namespace, account, binding: `oncall:gr_${grant}:cr_${credential}` };
}

/** Undefined for an account that is no login of ours. */
export function handleOfAccount(namespace: string, account: string): string | undefined {
  const handle = `system:serviceaccount:${namespace}:${account}`;
  return HANDLE.test(handle) ? handle : undefined;
}

/** Undefined for a binding that is no login of ours. */
export function handleOfBinding(namespace: string, binding: string): string | undefined {
  const [, grant, credential] = /^oncall:gr_([^:]+):cr_([^:]+)$/.exec(binding) ?? [];
  return handleOfAccount(namespace, `oncall-${grant}-${credential}`);
}

export function accountsPath(namespace: string): string {
  return pathOf('api', 'v1', 'namespaces', namespace, 'serviceaccounts');
}

/** Where bindings of this role are: in its namespace, or in none. */
export function bindingsPath({ namespace }: Pick<KubernetesRole, 'namespace'>): string {
  const api = ['apis', 'rbac.authorization.k8s.io', 'v1'];
  return namespace === undefined
    ? pathOf(...api, 'clusterrolebindings')
    : pathOf(...api, 'namespaces', namespace, 'rolebindings');
}

export function rolePath({ kind, name, namespace }: KubernetesRole): string {
  const api = ['apis', 'rbac.authorization.k8s.io', 'v1'];
  return kind === 'Role' && namespace !== undefined
    ? pathOf(...api, 'namespaces', namespace, 'roles', name)
    : pathOf(...api, 'clusterroles', name);
}

/** What leads from an object to its grant and to the installation that made it, in annotations, which hold any text. */
export function annotationsOf(
  { grantId, user, role, resource, incident }: CredentialSubject,
  installation: string,
) {
  const plain = (text: string) => escapeForTerminal(text).slice(0, 100);
  return {
    'oncall/installation': installation,
    'oncall/grant': plain(grantId),
    'oncall/user': plain(user),
    'oncall/role': plain(`${resource.id}:${role}`),
    'oncall/incident': plain(incident ?? '-'),
  };
}

export function accountBody(names: LoginNames, annotations: Readonly<Record<string, string>>) {
  return {
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { name: names.account, namespace: names.namespace, labels: LABELS, annotations },
    automountServiceAccountToken: false,
  };
}

export function bindingBody(
  { kind, name, namespace }: KubernetesRole,
  names: LoginNames,
  annotations: Readonly<Record<string, string>>,
) {
  return {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding',
    metadata: {
      name: names.binding,
      ...(namespace !== undefined && { namespace }),
      labels: LABELS,
      annotations,
    },
    subjects: [{ kind: 'ServiceAccount', name: names.account, namespace: names.namespace }],
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name },
  };
}

export function tokenRequestBody(expirationSeconds: number) {
  // No audiences: those of the API server itself.
  return {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenRequest',
    spec: { audiences: [], expirationSeconds },
  };
}
