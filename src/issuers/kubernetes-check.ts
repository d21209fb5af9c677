/**
 * What a cluster needs, each requirement proven on the live API server: what the broker may do (SelfSubjectAccessReview), what
 * it must not be able to do, that each role is there, and a login and its bindings made as a rehearsal that changes nothing.
 */
import { randomBytes } from 'node:crypto';
import { brokerNamespace, isForbiddenRole } from '../catalogue/targets/kubernetes.ts';
import type { KubernetesRole, KubernetesSettings, Resource } from '../catalogue/types.ts';
import { isAppError } from '../protocol/errors.ts';
import { encodeBase32 } from '../protocol/ids.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import type { Requirement } from './issuer.ts';
import { type Json, type KubernetesApi, kubernetesSettings, member } from './kubernetes-api.ts';
import {
  accountBody,
  accountsPath,
  bindingBody,
  bindingsPath,
  type LoginNames,
  namesOf,
  rolePath,
} from './kubernetes-names.ts';
import { fulfilled, missing } from './requirement.ts';

const RBAC = 'rbac.authorization.k8s.io';

interface Access {
  group?: string;
  resource: string;
  subresource?: string;
  namespace?: string | undefined;
  name?: string;
}

/** Never throws for what the API server says: that is a requirement that is missing. */
export async function checkKubernetes(
  api: KubernetesApi,
  resource: Resource,
  signal: AbortSignal,
): Promise<readonly Requirement[]> {
  const settings = kubernetesSettings(resource);
  const fix = `oncall broker target ${resource.id}   # apply it again`;

  async function may(verb: string, { group = '', ...access }: Access): Promise<boolean> {
    const body = {
      apiVersion: 'authorization.k8s.io/v1',
      kind: 'SelfSubjectAccessReview',
      spec: { resourceAttributes: { verb, group, ...access } },
    };
    const path = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
    const answer = await api.call(resource, { method: 'POST', path, body, signal });
    return answer.kind === 'done' && member(answer.body, 'status').allowed === true;
  }

  /** One requirement for several verbs on one thing. */
  async function allows(name: string, verbs: readonly string[], access: Access): Promise<Requirement> {
    const refused: string[] = [];
    for (const verb of verbs) if (!(await may(verb, access))) refused.push(verb);
    const what = [access.resource, access.subresource].filter(Boolean).join('/');
    const where = access.namespace === undefined ? '' : ` in ${access.namespace}`;
    if (refused.length === 0) return fulfilled(name, `${verbs.join(', ')} ${what}${where}`);
    return missing(name, `the broker may not ${refused.join(', ')} ${what}${where}`, fix);
  }

  async function staysNarrow(): Promise<Requirement> {
    const name = 'narrow';
    const broad: [string, Access][] = [
      ['*', { group: '*', resource: '*' }],
      ['escalate', { group: RBAC, resource: 'clusterroles' }],
      ['bind', { group: RBAC, resource: 'clusterroles', name: 'cluster-admin' }],
      ['impersonate', { resource: 'users' }],
      ['create', { resource: 'serviceaccounts', subresource: 'token', namespace: 'kube-system' }],
      ['create', { resource: 'serviceaccounts', subresource: 'token', namespace: brokerNamespace(settings) }],
    ];
    for (const [verb, access] of broad) {
      if (!(await may(verb, access))) continue;
      const what = [access.resource, access.subresource].filter(Boolean).join('/');
      const detail = `the broker may ${verb} ${what}${access.namespace ? ` in ${access.namespace}` : ''}`;
      return missing(name, detail, `${fix}, and take its other bindings away`);
    }
    return fulfilled(name, 'no rights over other accounts or roles');
  }

  async function checkRole(name: string, role: KubernetesRole): Promise<Requirement[]> {
    const plural = role.kind === 'Role' ? 'roles' : 'clusterroles';
    const bindings = role.namespace === undefined ? 'clusterrolebindings' : 'rolebindings';
    const { namespace } = role;
    const found = await readRole(name, role);
    return [
      await allows(`role ${name}: bindings`, ['create', 'get', 'list', 'delete'], {
        group: RBAC,
        resource: bindings,
        namespace,
      }),
      await allows(`role ${name}: bind`, ['bind'], {
        group: RBAC,
        resource: plural,
        name: role.name,
        namespace,
      }),
      found,
      await rehearse(
        `role ${name}: dry run`,
        bindingsPath(role),
        bindingBody(role, rehearsalNames(settings), {}),
      ),
    ];
  }

  async function readRole(name: string, role: KubernetesRole): Promise<Requirement> {
    const title = `role ${name}: exists`;
    const words = `${role.kind} ${role.name}${role.kind === 'Role' ? ` in ${role.namespace}` : ''}`;
    const answer = await api.call(resource, { method: 'GET', path: rolePath(role), signal }).catch(reasonOf);
    if (typeof answer === 'string') return missing(title, answer, fix);
    if (answer.kind !== 'done')
      return missing(
        title,
        `there is no ${words}`,
        `kubectl create ${role.kind.toLowerCase()} ${role.name} …`,
      );
    const reach = role.namespace === undefined ? outlives(answer.body) : undefined;
    if (isForbiddenRole(role.name) || reach !== undefined) {
      const detail = `in the whole cluster ${words} could ${reach ?? 'do anything'}: its logins could make others that stay`;
      return missing(title, detail, `namespace: …   # in the catalogue, or a narrower role`);
    }
    return fulfilled(title, words);
  }

  async function rehearse(name: string, path: string, body: object): Promise<Requirement> {
    const answer = await api
      .call(resource, { method: 'POST', path, body, rehearsal: true, signal })
      .catch(reasonOf);
    if (typeof answer === 'string') return missing(name, answer, fix);
    if (answer.kind === 'absent') return missing(name, 'there is no such namespace', fix);
    return fulfilled(name, 'made as a rehearsal that changed nothing');
  }

  const accounts = settings.accounts;
  try {
    const first = await allows('accounts', ['create', 'get', 'list', 'delete'], {
      resource: 'serviceaccounts',
      namespace: accounts,
    });
    const names = rehearsalNames(settings);
    const roles: Requirement[] = [];
    for (const [name, role] of settings.roles) roles.push(...(await checkRole(name, role)));
    return [
      fulfilled('reachable', settings.server),
      first,
      await allows('tokens', ['create'], {
        resource: 'serviceaccounts',
        subresource: 'token',
        namespace: accounts,
      }),
      await rehearse('accounts: dry run', accountsPath(accounts), accountBody(names, {})),
      ...roles,
      await staysNarrow(),
    ];
  } catch (error) {
    return [
      missing(
        'reachable',
        reasonOf(error),
        `oncall broker target ${resource.id}   # shows the account and its token's place`,
      ),
    ];
  }
}

/** What in a role for the whole cluster would give its holder the broker's account, or one that outlives the grant. */
function outlives(role: Json): string | undefined {
  const rules = Array.isArray(role.rules) ? (role.rules as Json[]) : [];
  const list = (rule: Json, key: string): string[] =>
    Array.isArray(rule[key]) ? (rule[key] as string[]) : [];
  const has = (rule: Json, key: string, values: string[]) =>
    list(rule, key).some((value) => ['*', ...values].includes(value));
  for (const rule of rules) {
    const verbs = (...wanted: string[]) => has(rule, 'verbs', wanted);
    const on = (group: string, ...resources: string[]) =>
      has(rule, 'apiGroups', [group]) && has(rule, 'resources', resources);
    if (verbs('create') && on('', 'serviceaccounts/token')) return 'make tokens for any account';
    if (verbs('get', 'list', 'watch') && on('', 'secrets')) return 'read every secret';
    if (verbs('impersonate') && on('', 'users', 'groups', 'serviceaccounts')) return 'act as anybody';
    if (
      verbs('create', 'update', 'patch', 'bind', 'escalate') &&
      on(RBAC, 'clusterroles', 'clusterrolebindings', 'rolebindings')
    ) {
      return 'hand out roles';
    }
    if (verbs('create') && on('', 'pods')) return 'run pods under any account';
  }
  return undefined;
}

function rehearsalNames({ accounts }: KubernetesSettings): LoginNames {
  const unique = () => encodeBase32(randomBytes(12)).slice(0, 19);
  return namesOf(`system:serviceaccount:${accounts}:oncall-${unique()}-${unique()}`);
}

/** Read by the broker's own admin at the broker's host, so the API server's words are shown. */
function reasonOf(error: unknown): string {
  const cause = isAppError(error) ? error.cause : error;
  const words = cause instanceof Error ? cause.message : String(cause ?? '');
  const message = isAppError(error) ? error.message : '';
  return escapeForTerminal([message, words].filter((part) => part !== '').join(': ')).slice(0, 400);
}
