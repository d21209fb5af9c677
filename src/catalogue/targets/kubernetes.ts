import { type Fields, readFields } from '../fields.ts';
import { quote } from '../read.ts';
import { readRoleEntries } from '../role-entries.ts';
import { readSecretRef } from '../secret-ref.ts';
import type { SecretRef } from '../types.ts';
import type { TargetReader } from './target-reader.ts';

export interface KubernetesRole {
  /** What is bound: a Role of `namespace`, or a ClusterRole. */
  kind: 'Role' | 'ClusterRole';
  name: string;
  /** Where it holds; undefined: in the whole cluster, by a ClusterRoleBinding. */
  namespace: string | undefined;
  description: string | undefined;
}

export interface KubernetesSettings {
  kind: 'kubernetes';
  /** `https://…` of the API server, without a slash at its end. */
  server: string;
  /** PEM file of the cluster's CA, relative to the catalogue. */
  caFile: string | undefined;
  /** The bearer token of the broker's own service account. */
  broker: { token: SecretRef };
  /** The namespace of the service accounts of logins: nothing else lives there. */
  accounts: string;
  roles: ReadonlyMap<string, KubernetesRole>;
}

/** RFC 1123 label, as names of namespaces are. */
const NAMESPACE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const NAMESPACE_FORM = 'the name of a namespace';
/** RBAC names are path segments: no slash and no per cent sign; `.` and `..` begin with what is not allowed here. */
const ROLE_NAME = /^[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}$/;
const DEFAULT_ACCOUNTS = 'oncall';
/** The broker's own service account is in a namespace beside that of the logins: see `brokerNamespace`. */
const BROKER_SUFFIX = '-broker';

export const KUBERNETES: TargetReader<KubernetesSettings> = {
  keys: ['connection', 'broker', 'accounts'],
  // The API server makes no token that lives shorter than ten minutes.
  credentialSeconds: { least: 600, usual: 600, most: 3600 },
  read: readKubernetes,
  secrets: ({ broker }) => [broker.token],
  certificateFiles: ({ caFile }) => [caFile],
};

/** The settings of a kubernetes resource; undefined after a finding where a required part is missing or wrong. */
function readKubernetes(fields: Fields): KubernetesSettings | undefined {
  const { reader } = fields;
  const connection = fields.required('connection', (node, path) =>
    readFields(reader, node, path, ['server', 'ca']),
  )?.value;
  const server = connection?.requiredMatching(
    'server',
    isServer,
    'an https:// address without user or query',
  );
  const broker = fields.required('broker', (node, path) => readFields(reader, node, path, ['token']))?.value;
  const token = broker?.required('token', (node, path) => readSecretRef(reader, node, path));
  const accounts = fields.matching('accounts', isAccounts, NAMESPACE_FORM)?.value ?? DEFAULT_ACCOUNTS;
  const roles = readRoleEntries(fields, ['role', 'clusterRole', 'namespace', 'description'], (role) =>
    readRole(role, accounts),
  );
  if (!connection || !server || !token || !roles) return undefined;
  return {
    kind: 'kubernetes',
    server: server.value.replace(/\/+$/, ''),
    caFile: connection.text('ca')?.value,
    broker: { token: token.value },
    accounts,
    roles,
  };
}

/** Tokens are sent there: never in the clear. */
function isServer(text: string): boolean {
  if (!URL.canParse(text) || /[?#\s]/.test(text)) return false;
  const { protocol, username, password } = new URL(text);
  return protocol === 'https:' && username === '' && password === '';
}

function isAccounts(text: string): boolean {
  return NAMESPACE.test(text + BROKER_SUFFIX) && NAMESPACE.test(text);
}

/** Apart from the logins' namespace, where the broker may ask for a token of any account. */
export function brokerNamespace({ accounts }: Pick<KubernetesSettings, 'accounts'>): string {
  return `${accounts}${BROKER_SUFFIX}`;
}

/** What no login may have: all of these belong to the cluster itself, `cluster-admin` being what `system:masters` is bound to. */
export function isForbiddenRole(name: string): boolean {
  return name === 'cluster-admin' || name.startsWith('system:');
}

function readRole(role: Fields, accounts: string): KubernetesRole | undefined {
  const { reader, path } = role;
  const isRoleName = (text: string) => ROLE_NAME.test(text);
  const own = role.matching('role', isRoleName, 'the name of a role');
  const wide = role.matching('clusterRole', isRoleName, 'the name of a cluster role');
  const namespace = role.matching('namespace', (text) => NAMESPACE.test(text), NAMESPACE_FORM);
  if (role.has('role') === role.has('clusterRole')) {
    return reader.error(role.node, `${path} binds one role`, 'write role: NAME, or clusterRole: NAME');
  }
  const bound = own ?? wide;
  if (!bound) return undefined;
  if (isForbiddenRole(bound.value)) {
    const hint = 'bind a role that you wrote for it; view, edit and admin in a namespace are fine too';
    return reader.error(bound.node, `${path} would hand out ${quote(bound.value)}`, hint);
  }
  if (role.has('namespace') && !namespace) return undefined;
  if (own && !namespace) return reader.error(role.node, `${path} has no namespace`, 'add namespace: …');
  if (namespace && [accounts, brokerNamespace({ accounts })].includes(namespace.value)) {
    const hint = 'whoever has rights there could act as the broker, or as another login';
    return reader.error(
      namespace.node,
      `${path} is in ${quote(namespace.value)}, which is oncall's own`,
      hint,
    );
  }
  return {
    kind: own ? 'Role' : 'ClusterRole',
    name: bound.value,
    namespace: namespace?.value,
    description: role.text('description')?.value,
  };
}
