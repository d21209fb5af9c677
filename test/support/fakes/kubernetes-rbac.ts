// RBAC as the API server's authorizer does it (Kubernetes documentation, "Using RBAC Authorization"), over stored objects.
import type { KubeObject } from './kubernetes-objects.ts';

export interface User {
  name: string;
  groups: readonly string[];
  uid?: string;
}

export interface Attributes {
  verb: string;
  group: string;
  resource: string;
  subresource?: string | undefined;
  namespace?: string | undefined;
  name?: string | undefined;
}

export interface Rule {
  apiGroups?: string[];
  resources?: string[];
  resourceNames?: string[];
  verbs: string[];
}

export interface RoleRef {
  apiGroup: string;
  kind: string;
  name: string;
}

export interface BindingObject {
  metadata: { name: string; namespace?: string };
  roleRef: RoleRef;
  subjects?: { kind: string; name: string; namespace?: string; apiGroup?: string }[];
}

/** Where bindings and roles are kept. */
export interface RbacStore {
  bindings(): BindingObject[];
  rulesOf(ref: RoleRef, namespace: string | undefined): Rule[] | undefined;
}

/** Roles and bindings as they are among these objects by now. */
export function rbacStoreOf(objects: ReadonlyMap<string, KubeObject>): RbacStore {
  return {
    bindings: () =>
      [...objects.values()].filter(({ kind }) =>
        /^(Cluster)?RoleBinding$/.test(kind),
      ) as unknown as BindingObject[],
    rulesOf(ref, namespace) {
      const role = [...objects.values()].find(
        ({ kind, metadata }) =>
          kind === ref.kind &&
          metadata.name === ref.name &&
          (kind === 'ClusterRole' || metadata.namespace === namespace),
      );
      return role?.rules as Rule[] | undefined;
    },
  };
}

/** What the API server itself has from its first start. */
export const BOOTSTRAP_ROLES: Readonly<Record<string, Rule[]>> = {
  'cluster-admin': [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }],
  view: [{ apiGroups: [''], resources: ['pods', 'serviceaccounts'], verbs: ['get', 'list', 'watch'] }],
  edit: [
    {
      apiGroups: [''],
      resources: ['pods', 'secrets'],
      verbs: ['get', 'list', 'watch', 'create', 'update', 'delete'],
    },
    { apiGroups: [''], resources: ['serviceaccounts/token'], verbs: ['create'] },
  ],
};

/** What every authenticated user may: `system:basic-user`. */
const BASIC: Rule[] = [
  {
    apiGroups: ['authorization.k8s.io'],
    resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
    verbs: ['create'],
  },
  { apiGroups: ['authentication.k8s.io'], resources: ['selfsubjectreviews'], verbs: ['create'] },
];

export function isAllowed(store: RbacStore, user: User, wanted: Attributes): boolean {
  if (user.groups.includes('system:masters')) return true;
  return rulesFor(store, user, wanted.namespace).some((rule) => covers(rule, wanted));
}

/** "Privilege escalation prevention": the verb `bind` on the role, or all that the role gives. */
export function mayBind(store: RbacStore, user: User, ref: RoleRef, namespace: string | undefined): boolean {
  const resource = ref.kind === 'Role' ? 'roles' : 'clusterroles';
  // Asked for in the binding's namespace, for cluster roles too.
  if (isAllowed(store, user, { verb: 'bind', group: ref.apiGroup, resource, name: ref.name, namespace }))
    return true;
  const rules = store.rulesOf(ref, namespace);
  return rules !== undefined && holdsAll(store, user, rules, namespace);
}

/** The verb `escalate`, or all that the new rules give. */
export function mayWriteRole(
  store: RbacStore,
  user: User,
  rules: readonly Rule[],
  plural: string,
  namespace: string | undefined,
): boolean {
  const escalate = { verb: 'escalate', group: 'rbac.authorization.k8s.io', resource: plural, namespace };
  return isAllowed(store, user, escalate) || holdsAll(store, user, rules, namespace);
}

function holdsAll(
  store: RbacStore,
  user: User,
  rules: readonly Rule[],
  namespace: string | undefined,
): boolean {
  return rules.every((rule) =>
    (rule.apiGroups ?? []).every((group) =>
      (rule.resources ?? []).every((full) =>
        rule.verbs.every((verb) => {
          const [resource = '', subresource] = full.split('/');
          return isAllowed(store, user, { verb, group, resource, subresource, namespace });
        }),
      ),
    ),
  );
}

function rulesFor(store: RbacStore, user: User, namespace: string | undefined): Rule[] {
  const held = store.bindings().flatMap(({ metadata, roleRef, subjects = [] }) => {
    if (metadata.namespace !== undefined && metadata.namespace !== namespace) return [];
    const isMeant = subjects.some(({ kind, name, namespace: home }) => {
      if (kind === 'ServiceAccount') return user.name === `system:serviceaccount:${home}:${name}`;
      return kind === 'User' ? user.name === name : user.groups.includes(name);
    });
    return isMeant ? (store.rulesOf(roleRef, metadata.namespace) ?? []) : [];
  });
  return [...(user.groups.includes('system:authenticated') ? BASIC : []), ...held];
}

function covers(rule: Rule, { verb, group, resource, subresource, name }: Attributes): boolean {
  const full = subresource === undefined ? resource : `${resource}/${subresource}`;
  const has = (list: readonly string[] | undefined, value: string) =>
    list !== undefined && (list.includes('*') || list.includes(value));
  const isNamed =
    rule.resourceNames === undefined ||
    rule.resourceNames.length === 0 ||
    (name !== undefined && rule.resourceNames.includes(name));
  return has(rule.verbs, verb) && has(rule.apiGroups, group) && has(rule.resources, full) && isNamed;
}
