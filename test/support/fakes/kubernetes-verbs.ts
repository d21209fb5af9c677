// get, list, delete and create on the objects of the fake API server, as its registry does them.
import { randomUUID } from 'node:crypto';
import { Failure, type KubeObject } from './kubernetes-objects.ts';
import {
  type BindingObject,
  isAllowed,
  mayBind,
  mayWriteRole,
  type RbacStore,
  type Rule,
  type User,
} from './kubernetes-rbac.ts';
import { apiVersionOf, type ResourcePath } from './kubernetes-resources.ts';
import type { KubeTokens } from './kubernetes-tokens.ts';

const LEAST_TOKEN_SECONDS = 600;

export interface VerbsInput {
  objects: Map<string, KubeObject>;
  rbac: RbacStore;
  createToken: KubeTokens['createToken'];
  nowMs: () => number;
  complain: (message: string) => void;
}

type Body = Record<string, unknown>;

/** All throw Failure. */
export interface Verbs {
  read(target: ResourcePath): KubeObject;
  list(target: ResourcePath, query: URLSearchParams): object;
  remove(target: ResourcePath, options: Body | undefined, query: URLSearchParams): object;
  create(user: User, target: ResourcePath, body: Body, query: URLSearchParams): object;
}

export function createVerbs({ objects, rbac, createToken, nowMs, complain }: VerbsInput): Verbs {
  let version = 1;
  const nowText = () => new Date(nowMs()).toISOString().replace(/\.\d{3}Z$/, 'Z');

  function keyOf({ type, namespace }: ResourcePath, name: string): string {
    const root = type.group === '' ? '/api/v1' : `/apis/${type.group}/v1`;
    return `${root}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${type.plural}/${name}`;
  }

  function notFound({ type }: Pick<ResourcePath, 'type'>, name: string): Failure {
    return new Failure(404, 'NotFound', `${type.plural} "${name}" not found`, {
      name,
      group: type.group,
      kind: type.plural,
    });
  }

  function read(target: ResourcePath): KubeObject {
    const found = objects.get(keyOf(target, target.name ?? ''));
    if (found === undefined) throw notFound(target, target.name ?? '');
    return found;
  }

  function list({ type, namespace }: ResourcePath, query: URLSearchParams): object {
    const [label, value] = (query.get('labelSelector') ?? '').split('=');
    const all = [...objects.values()].filter(
      ({ kind, metadata }) =>
        kind === type.kind &&
        (namespace === undefined || metadata.namespace === namespace) &&
        (!label || metadata.labels?.[label] === value),
    );
    const from = Number(query.get('continue') ?? 0);
    const to = from + Number(query.get('limit') ?? all.length);
    const metadata = { resourceVersion: String(version), ...(to < all.length && { continue: String(to) }) };
    return { kind: `${type.kind}List`, apiVersion: apiVersionOf(type), metadata, items: all.slice(from, to) };
  }

  function remove(target: ResourcePath, options: Body | undefined, query: URLSearchParams): object {
    const found = read(target);
    const { type } = target;
    if (options !== undefined) {
      if (options.kind !== 'DeleteOptions') complain('DELETE with a body that is no DeleteOptions');
      const policy = options.propagationPolicy;
      if (policy !== undefined && !['Orphan', 'Background', 'Foreground'].includes(String(policy))) {
        throw new Failure(422, 'Invalid', 'propagationPolicy: Unsupported value');
      }
      const { uid } = (options.preconditions ?? {}) as { uid?: string };
      if (uid !== undefined && uid !== found.metadata.uid) {
        throw new Failure(409, 'Conflict', 'the UID in the precondition does not match', {
          name: target.name,
        });
      }
    }
    if (query.has('dryRun')) return found;
    if ((found.metadata.finalizers ?? []).length > 0) {
      found.metadata.deletionTimestamp ??= nowText();
      return found;
    }
    objects.delete(keyOf(target, found.metadata.name));
    if (type.kind === 'Namespace') {
      for (const [key, { metadata }] of objects) if (metadata.namespace === target.name) objects.delete(key);
    }
    const details = { name: target.name, group: type.group, kind: type.plural, uid: found.metadata.uid };
    return { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success', details };
  }

  function create(user: User, target: ResourcePath, body: Body, query: URLSearchParams): object {
    const { type, namespace, name, subresource } = target;
    if (subresource !== undefined) return createSub(target, body);
    if (name !== undefined)
      throw new Failure(405, 'MethodNotAllowed', 'the server does not allow this method');
    if (body.apiVersion !== apiVersionOf(type) || body.kind !== type.kind) {
      throw new Failure(
        400,
        'BadRequest',
        `${String(body.kind)} in version ${String(body.apiVersion)} cannot be handled as a ${type.kind}`,
      );
    }
    for (const field of Object.keys(body)) {
      if (!['apiVersion', 'kind', 'metadata', 'status', ...type.fields].includes(field)) {
        complain(`${type.kind} with the field ${field}`);
      }
    }
    if (type.kind === 'SelfSubjectAccessReview')
      return { ...body, status: { allowed: reviewed(user, body) } };
    if (type.kind === 'SelfSubjectReview') {
      return {
        ...body,
        status: {
          userInfo: { username: user.name, groups: user.groups, ...(user.uid && { uid: user.uid }) },
        },
      };
    }
    const metadata = (body.metadata ?? {}) as KubeObject['metadata'];
    const { name: wanted } = metadata;
    if (typeof wanted !== 'string' || !type.isName(wanted)) {
      throw new Failure(422, 'Invalid', `${type.kind} "${wanted}" is invalid: metadata.name: Invalid value`);
    }
    if (metadata.namespace !== undefined && metadata.namespace !== namespace) {
      throw new Failure(
        400,
        'BadRequest',
        'the namespace of the object does not match the namespace of the request',
      );
    }
    if (namespace !== undefined && !objects.has(`/api/v1/namespaces/${namespace}`)) {
      throw new Failure(404, 'NotFound', `namespaces "${namespace}" not found`, {
        name: namespace,
        kind: 'namespaces',
      });
    }
    preventEscalation(user, target, body);
    const key = keyOf(target, wanted);
    if (objects.has(key)) {
      const message = `${type.plural} "${wanted}" already exists`;
      throw new Failure(409, 'AlreadyExists', message, {
        name: wanted,
        group: type.group,
        kind: type.plural,
      });
    }
    const made = {
      ...body,
      metadata: {
        ...metadata,
        ...(namespace !== undefined && { namespace }),
        uid: randomUUID(),
        resourceVersion: String(++version),
        creationTimestamp: nowText(),
      },
    } as KubeObject;
    if (!query.has('dryRun')) {
      objects.set(key, made);
      fillSecret(made);
    }
    return made;
  }

  /** What the token controller does. */
  function fillSecret(secret: KubeObject): void {
    if (secret.type !== 'kubernetes.io/service-account-token') return;
    const { namespace, annotations } = secret.metadata;
    const account = objects.get(
      `/api/v1/namespaces/${namespace}/serviceaccounts/${annotations?.['kubernetes.io/service-account.name']}`,
    );
    if (account === undefined) return;
    secret.data = { token: Buffer.from(createToken(account, 1e9).token).toString('base64') };
  }

  function createSub(target: ResourcePath, body: Body): object {
    if (target.type.kind !== 'ServiceAccount' || target.subresource !== 'token') {
      throw new Failure(404, 'NotFound', 'the server could not find the requested resource');
    }
    if (body.apiVersion !== 'authentication.k8s.io/v1' || body.kind !== 'TokenRequest') {
      throw new Failure(400, 'BadRequest', 'not a TokenRequest');
    }
    const account = read({ ...target, subresource: undefined });
    const { expirationSeconds = 3600, audiences } = (body.spec ?? {}) as {
      expirationSeconds?: number;
      audiences?: string[];
    };
    if (audiences === undefined || audiences.length > 0) complain('a TokenRequest for another audience');
    if (!Number.isInteger(expirationSeconds) || expirationSeconds < LEAST_TOKEN_SECONDS) {
      const message =
        'spec.expirationSeconds: Invalid value: may not specify a duration less than 10 minutes';
      throw new Failure(422, 'Invalid', message);
    }
    return {
      ...body,
      metadata: {
        name: account.metadata.name,
        namespace: account.metadata.namespace,
        creationTimestamp: nowText(),
      },
      spec: { audiences: ['https://kubernetes.default.svc'], expirationSeconds },
      status: createToken(account, expirationSeconds),
    };
  }

  function reviewed(user: User, body: Body): boolean {
    const { resourceAttributes: asked } = body.spec as { resourceAttributes: Record<string, string> };
    const { verb = '', group = '', resource = '', subresource, namespace, name } = asked;
    return isAllowed(rbac, user, { verb, group, resource, subresource, namespace, name });
  }

  function preventEscalation(user: User, { type, namespace }: ResourcePath, body: Body): void {
    if (type.kind.endsWith('RoleBinding')) {
      const binding = body as unknown as BindingObject;
      const { roleRef, subjects = [] } = binding;
      const isRight =
        roleRef?.apiGroup === type.group &&
        ['Role', 'ClusterRole'].includes(roleRef.kind) &&
        !(type.kind === 'ClusterRoleBinding' && roleRef.kind === 'Role') &&
        subjects.every(({ kind, name, namespace: home }) => name && (kind !== 'ServiceAccount' || home));
      if (!isRight) throw new Failure(422, 'Invalid', `${type.kind} is invalid: roleRef or subjects`);
      if (mayBind(rbac, user, roleRef, namespace)) return;
    } else if (type.kind.endsWith('Role')) {
      if (mayWriteRole(rbac, user, (body.rules ?? []) as Rule[], type.plural, namespace)) return;
    } else {
      return;
    }
    throw new Failure(
      403,
      'Forbidden',
      `user "${user.name}" is attempting to grant RBAC permissions not currently held`,
    );
  }

  return { read, list, remove, create };
}
