// What the fake API server knows of the Kubernetes API: kinds, their paths, fields and names, and discovery for kubectl.
export interface ResourceType {
  group: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
  /** Members of a body besides apiVersion, kind and metadata. */
  fields: readonly string[];
  verbs: readonly string[];
  isName: (name: string) => boolean;
}

/** RFC 1123 subdomain. */
const isSubdomain = (name: string) =>
  name.length <= 253 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/.test(name);
/** RFC 1123 label. */
const isLabel = (name: string) => name.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(name);
/** RBAC objects: a path segment. */
const isSegment = (name: string) => !['', '.', '..'].includes(name) && !/[/%]/.test(name);

const STORED = ['create', 'delete', 'get', 'list'];
const RBAC = { group: 'rbac.authorization.k8s.io', version: 'v1', verbs: STORED, isName: isSegment };
const CORE = { group: '', version: 'v1', verbs: STORED };
const REVIEW = { version: 'v1', namespaced: false, verbs: ['create'], fields: ['spec'], isName: () => true };

export const RESOURCE_TYPES: readonly ResourceType[] = [
  { ...CORE, plural: 'namespaces', kind: 'Namespace', namespaced: false, fields: ['spec'], isName: isLabel },
  {
    ...CORE,
    plural: 'serviceaccounts',
    kind: 'ServiceAccount',
    namespaced: true,
    fields: ['automountServiceAccountToken', 'secrets', 'imagePullSecrets'],
    isName: isSubdomain,
  },
  {
    ...CORE,
    plural: 'secrets',
    kind: 'Secret',
    namespaced: true,
    fields: ['type', 'data', 'stringData', 'immutable'],
    isName: isSubdomain,
  },
  { ...CORE, plural: 'pods', kind: 'Pod', namespaced: true, fields: ['spec'], isName: isSubdomain },
  { ...RBAC, plural: 'roles', kind: 'Role', namespaced: true, fields: ['rules'] },
  { ...RBAC, plural: 'rolebindings', kind: 'RoleBinding', namespaced: true, fields: ['roleRef', 'subjects'] },
  {
    ...RBAC,
    plural: 'clusterroles',
    kind: 'ClusterRole',
    namespaced: false,
    fields: ['rules', 'aggregationRule'],
  },
  {
    ...RBAC,
    plural: 'clusterrolebindings',
    kind: 'ClusterRoleBinding',
    namespaced: false,
    fields: ['roleRef', 'subjects'],
  },
  {
    ...REVIEW,
    group: 'authorization.k8s.io',
    plural: 'selfsubjectaccessreviews',
    kind: 'SelfSubjectAccessReview',
  },
  {
    ...REVIEW,
    group: 'authentication.k8s.io',
    plural: 'selfsubjectreviews',
    kind: 'SelfSubjectReview',
    fields: [],
  },
];

export interface ResourcePath {
  type: ResourceType;
  namespace: string | undefined;
  name: string | undefined;
  subresource: string | undefined;
}

/** Undefined for a path that names nothing known. */
export function parsePath(pathname: string): ResourcePath | undefined {
  const parts = pathname.slice(1).split('/').map(decodeURIComponent);
  const [root, ...afterRoot] = parts;
  const group = root === 'apis' ? (afterRoot.shift() ?? '') : '';
  if (root !== 'api' && root !== 'apis') return undefined;
  const version = afterRoot.shift();
  const isNamespaced = afterRoot[0] === 'namespaces' && afterRoot.length > 2;
  const [, namespace] = isNamespaced ? afterRoot.splice(0, 2) : [];
  const [plural, name, subresource, ...rest] = afterRoot;
  const type = RESOURCE_TYPES.find(
    (known) => known.group === group && known.version === version && known.plural === plural,
  );
  if (type === undefined || rest.length > 0 || type.namespaced !== (namespace !== undefined)) {
    // A list over all namespaces.
    if (type?.namespaced && namespace === undefined && name === undefined) {
      return { type, namespace, name, subresource };
    }
    return undefined;
  }
  return { type, namespace, name, subresource };
}

export function apiVersionOf({ group, version }: Pick<ResourceType, 'group' | 'version'>): string {
  return group === '' ? version : `${group}/${version}`;
}

/** What kubectl asks first; undefined for anything else. The unaggregated form, which every version reads. */
export function discover(pathname: string): object | undefined {
  const groups = [...new Set(RESOURCE_TYPES.map(({ group }) => group))].filter((group) => group !== '');
  if (pathname === '/version') {
    return { major: '1', minor: '32', gitVersion: 'v1.32.0', platform: 'linux/amd64' };
  }
  if (pathname === '/api') return { kind: 'APIVersions', versions: ['v1'], serverAddressByClientCIDRs: [] };
  if (pathname === '/apis') {
    const versionOf = (group: string) => ({ groupVersion: `${group}/v1`, version: 'v1' });
    return {
      kind: 'APIGroupList',
      apiVersion: 'v1',
      groups: groups.map((name) => ({
        name,
        versions: [versionOf(name)],
        preferredVersion: versionOf(name),
      })),
    };
  }
  const [, group = ''] = /^\/api(?:s\/([^/]+))?\/v1$/.exec(pathname) ?? [undefined, undefined];
  const types = RESOURCE_TYPES.filter((type) => type.group === group);
  if (!/^\/apis?\/([^/]+\/)?v1$/.test(pathname) || types.length === 0) return undefined;
  return {
    kind: 'APIResourceList',
    apiVersion: 'v1',
    groupVersion: group === '' ? 'v1' : `${group}/v1`,
    resources: types.map(({ plural, kind, namespaced, verbs }) => ({
      name: plural,
      singularName: kind.toLowerCase(),
      namespaced,
      kind,
      verbs,
    })),
  };
}
