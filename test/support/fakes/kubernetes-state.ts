// What the fake API server does with one call: authentication, authorization, then the verb (kubernetes-verbs.ts).
import type { IncomingHttpHeaders } from 'node:http';
import { type Answered, Failure, type KubeObject, type SeenCall } from './kubernetes-objects.ts';
import { isAllowed, rbacStoreOf, type User } from './kubernetes-rbac.ts';
import { discover, parsePath, type ResourcePath } from './kubernetes-resources.ts';
import { createKubeTokens } from './kubernetes-tokens.ts';
import { createVerbs } from './kubernetes-verbs.ts';

const QUERY = {
  GET: ['timeout', 'limit', 'continue', 'labelSelector', 'fieldSelector', 'resourceVersion'],
  POST: ['timeout', 'dryRun', 'fieldManager', 'fieldValidation', 'pretty'],
  DELETE: ['timeout', 'dryRun', 'propagationPolicy', 'gracePeriodSeconds'],
} as const;

export interface KubeState {
  /** By path, such as `/api/v1/namespaces/oncall/serviceaccounts/x`. */
  readonly objects: Map<string, KubeObject>;
  readonly adminToken: string;
  answer(call: SeenCall, headers: IncomingHttpHeaders, text: string): Answered;
}

export function createKubeState(nowMs: () => number, complain: (message: string) => void): KubeState {
  const objects = new Map<string, KubeObject>();
  const { adminToken, authenticate, createToken } = createKubeTokens(objects, nowMs);
  const rbac = rbacStoreOf(objects);
  const { read, list, remove, create } = createVerbs({ objects, rbac, createToken, nowMs, complain });

  function handle(call: SeenCall, headers: IncomingHttpHeaders, text: string): Answered {
    const user = authenticate(headers.authorization);
    call.user = user.name;
    const { method, path, query } = call;
    if (method !== 'GET' && method !== 'POST' && method !== 'DELETE') {
      throw new Failure(405, 'MethodNotAllowed', `${method} is not for this fake`);
    }
    checkQuery(method, query);
    if (!/(^|,)\s*(application\/json|\*\/\*)/.test(headers.accept ?? '*/*')) {
      throw new Failure(406, 'NotAcceptable', 'only application/json');
    }
    const known = method === 'GET' ? discover(path) : undefined;
    if (known !== undefined) return { status: 200, body: known };
    const target = parsePath(path);
    if (target === undefined) return { status: 404, body: '404 page not found\n' };
    authorize(user, method, target, query);
    if (method === 'GET')
      return { status: 200, body: target.name === undefined ? list(target, query) : read(target) };
    const body = readBody(headers, text);
    if (method === 'DELETE') return { status: 200, body: remove(target, body, query) };
    return { status: 201, body: create(user, target, body ?? {}, query) };
  }

  function checkQuery(method: keyof typeof QUERY, query: URLSearchParams): void {
    for (const name of query.keys()) {
      if (!(QUERY[method] as readonly string[]).includes(name))
        complain(`${method} with the parameter ${name}`);
    }
    const timeout = query.get('timeout');
    if (timeout !== null && !/^\d+(ms|s)$/.test(timeout)) {
      throw new Failure(400, 'BadRequest', 'invalid timeout specified in the request URL');
    }
    const dryRun = query.get('dryRun');
    if (dryRun !== null && dryRun !== 'All') throw new Failure(422, 'Invalid', 'dryRun: Unsupported value');
  }

  function authorize(user: User, method: string, target: ResourcePath, query: URLSearchParams): void {
    const { type, namespace, name, subresource } = target;
    const verb =
      method === 'GET'
        ? name === undefined
          ? query.get('watch')
            ? 'watch'
            : 'list'
          : 'get'
        : method === 'POST'
          ? 'create'
          : 'delete';
    // A name is not known to the authorizer while an object is created, but for subresources.
    const wanted = { verb, group: type.group, resource: type.plural, subresource, namespace, name };
    if (isAllowed(rbac, user, wanted)) return;
    const what = `${type.plural}${subresource ? `/${subresource}` : ''}`;
    throw new Failure(
      403,
      'Forbidden',
      `${what} "${name ?? ''}" is forbidden: User "${user.name}" cannot ${verb} resource "${what}" in API group "${type.group}"`,
      { name, group: type.group, kind: type.plural },
    );
  }

  function readBody(headers: IncomingHttpHeaders, text: string): Record<string, unknown> | undefined {
    if (text === '') return undefined;
    if (headers['content-type'] !== 'application/json') {
      throw new Failure(415, 'UnsupportedMediaType', 'the body of the request was in an unknown format');
    }
    try {
      return JSON.parse(text) as Record<string, unknown>;
    } catch {
      throw new Failure(400, 'BadRequest', 'the body is no JSON');
    }
  }

  function answer(call: SeenCall, headers: IncomingHttpHeaders, text: string): Answered {
    try {
      return handle(call, headers, text);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      const { status, reason, details } = error;
      return {
        status,
        body: {
          kind: 'Status',
          apiVersion: 'v1',
          metadata: {},
          status: 'Failure',
          message: error.message,
          reason,
          details,
          code: status,
        },
      };
    }
  }

  return { objects, adminToken, answer };
}
