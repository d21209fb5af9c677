/**
 * What a cluster's admin applies to bring it in. The broker gets an account in a namespace of its own; it may make accounts
 * and tokens in one namespace where nothing else lives, bindings where roles are to hold, and `bind` on those roles by name.
 * That verb is what keeps it narrow: without it an API server refuses a binding to rights that the binder doesn't have.
 */
import { brokerNamespace } from '../catalogue/targets/kubernetes.ts';
import type { KubernetesRole, KubernetesSettings, Resource } from '../catalogue/types.ts';
import type { TargetGuide } from './issuer.ts';
import { kubernetesSettings } from './kubernetes-api.ts';

export function kubernetesGuide(resource: Resource): TargetGuide {
  const settings = kubernetesSettings(resource);
  const broker = brokerNamespace(settings);
  const { token } = settings.broker;
  const where = 'kubectl, as an admin of the cluster';
  const kept = 'file' in token ? `into ${token.file}, beside the catalogue, mode 600` : `into ${token.env}`;
  return {
    steps: [
      {
        title: "the broker's account, the namespace of the logins, and what the broker may do",
        where,
        text: apply([
          manifest('v1', 'Namespace', { name: settings.accounts }),
          manifest('v1', 'Namespace', { name: broker }),
          manifest('v1', 'ServiceAccount', { name: broker, namespace: broker }),
          manifest(
            'v1',
            'Secret',
            {
              name: broker,
              namespace: broker,
              annotations: { 'kubernetes.io/service-account.name': broker },
            },
            { type: 'kubernetes.io/service-account-token' },
          ),
          ...grant(broker, settings.accounts, [
            rule('', ['serviceaccounts'], ['create', 'get', 'list', 'delete']),
            rule('', ['serviceaccounts/token'], ['create']),
          ]),
        ]),
      },
      { title: 'where the roles hold, and which they are', where, text: apply(rightsOverRoles(settings)) },
      {
        title: `the broker's token, ${kept}`,
        where,
        text: `kubectl --namespace ${broker} get secret ${broker} --output 'jsonpath={.data.token}' | base64 -d`,
      },
      { title: 'prove it', where: "the broker's host", text: `oncall broker target ${resource.id} --check` },
    ],
  };
}

function rightsOverRoles(settings: KubernetesSettings): string[] {
  const broker = brokerNamespace(settings);
  const roles = [...settings.roles.values()];
  const clusterRoles = namesWhere(roles, ({ kind }) => kind === 'ClusterRole');
  const wide = namesWhere(roles, ({ namespace }) => namespace === undefined);
  const cluster = [
    // For --check: that a role is there, and what it holds. Cluster roles can be read in no namespace.
    ...(clusterRoles.length > 0 ? [rule(RBAC, ['clusterroles'], ['get'], clusterRoles)] : []),
    ...(wide.length > 0
      ? [rule(RBAC, ['clusterroles'], ['bind'], wide), bindings('clusterrolebindings')]
      : []),
  ];
  const namespaces = new Set(roles.flatMap(({ namespace }) => namespace ?? []));
  return [
    ...(cluster.length > 0 ? grant(broker, undefined, cluster) : []),
    ...[...namespaces].flatMap((namespace) => {
      const here = roles.filter((role) => role.namespace === namespace);
      const own = namesWhere(here, ({ kind }) => kind === 'Role');
      const shared = namesWhere(here, ({ kind }) => kind === 'ClusterRole');
      return grant(broker, namespace, [
        bindings('rolebindings'),
        ...(own.length > 0 ? [rule(RBAC, ['roles'], ['bind', 'get'], own)] : []),
        // In this namespace alone: the API server asks for the verb where the binding is made.
        ...(shared.length > 0 ? [rule(RBAC, ['clusterroles'], ['bind'], shared)] : []),
      ]);
    }),
  ];
}

export const RBAC = 'rbac.authorization.k8s.io';
const bindings = (plural: string) => rule(RBAC, [plural], ['create', 'get', 'list', 'delete']);

function namesWhere(roles: readonly KubernetesRole[], is: (role: KubernetesRole) => boolean): string[] {
  return [...new Set(roles.filter(is).map(({ name }) => name))];
}

/** A role of these rules, and its binding to the broker, whose account, role and namespace have one name; in the whole cluster where there is no namespace. */
function grant(broker: string, namespace: string | undefined, rules: readonly object[]): string[] {
  const [role, binding] =
    namespace === undefined ? ['ClusterRole', 'ClusterRoleBinding'] : ['Role', 'RoleBinding'];
  const metadata = { name: broker, ...(namespace !== undefined && { namespace }) };
  return [
    manifest(`${RBAC}/v1`, role, metadata, { rules }),
    manifest(`${RBAC}/v1`, binding, metadata, {
      roleRef: { apiGroup: RBAC, kind: role, name: broker },
      subjects: [{ kind: 'ServiceAccount', name: broker, namespace: broker }],
    }),
  ];
}

function rule(apiGroup: string, resources: string[], verbs: string[], resourceNames?: string[]): object {
  return { apiGroups: [apiGroup], resources, ...(resourceNames && { resourceNames }), verbs };
}

/** YAML whose deeper values are JSON, which is YAML too: nothing in a name can break out. */
export function manifest(
  apiVersion: string,
  kind: string,
  metadata: object,
  more: Readonly<Record<string, unknown>> = {},
): string {
  const flat = Object.entries({ apiVersion, kind, metadata, ...more }).map(([key, value]) => {
    if (typeof value === 'string') return `${key}: ${value}`;
    if (!Array.isArray(value)) return `${key}: ${JSON.stringify(value)}`;
    return [`${key}:`, ...value.map((entry) => `  - ${JSON.stringify(entry)}`)].join('\n');
  });
  return flat.join('\n');
}

export function apply(manifests: readonly string[]): string {
  return `kubectl apply --filename - <<'ONCALL'\n${manifests.join('\n---\n')}\nONCALL`;
}
