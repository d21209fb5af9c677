/**
 * The steps of an issue: account, binding, token. Each is done once under its name, found again by a second call, and given up
 * past the deadline.
 */
import type { KubernetesRole, Resource } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import type { IssueInput } from './issuer.ts';
import { type Answer, type Json, type KubernetesApi, member } from './kubernetes-api.ts';
import type { Deadline } from './kubernetes-deadline.ts';
import {
  accountBody,
  accountsPath,
  annotationsOf,
  bindingBody,
  bindingsPath,
  type LoginNames,
  tokenRequestBody,
} from './kubernetes-names.ts';

const LEAST_TOKEN_SECONDS = 600;
/** An API server may round up; one that gives an hour for ten minutes is not one to rely on. */
const TOKEN_SLACK_SECONDS = 60;

export interface IssuedToken {
  /** Secret. */
  text: string;
  /** By the API server's own clock, from its answer on. */
  lifeMs: number;
}

export interface IssueSteps {
  api: KubernetesApi;
  installation: string;
  deadline: Deadline;
}

/** Throws AppError `ended` where the end of the login has begun, and what {@link KubernetesApi} and {@link Deadline} throw. */
export async function issueToken(
  { api, installation, deadline }: IssueSteps,
  input: IssueInput,
  role: KubernetesRole,
  names: LoginNames,
): Promise<IssuedToken> {
  const { subject, expiresAtMs, nowMs, signal } = input;
  const { resource } = subject;
  await makeAccount();
  await makeBinding();
  return requestToken();

  async function makeAccount(): Promise<void> {
    const path = accountsPath(names.namespace);
    const body = accountBody(names, annotationsOf(subject, installation));
    const answer = await post(path, body);
    if (answer.kind === 'done') return;
    if (answer.kind === 'absent') throw noNamespace(resource, names.namespace);
    const found = await get(`${path}/${names.account}`);
    if (found.kind !== 'done' || isBeingDeleted(found.body)) throw goneError(names);
  }

  async function makeBinding(): Promise<void> {
    const path = bindingsPath(role);
    const body = bindingBody(role, names, annotationsOf(subject, installation));
    const answer = await post(path, body);
    if (answer.kind === 'done') return;
    if (answer.kind === 'absent') throw noNamespace(resource, role.namespace);
    const found = await get(`${path}/${encodeURIComponent(names.binding)}`);
    if (found.kind !== 'done' || isBeingDeleted(found.body)) throw goneError(names);
    if (!bindsTheSame(found.body, body)) {
      throw new AppError('target_refused', `${names.binding} is there already and binds something else`);
    }
  }

  async function requestToken(): Promise<IssuedToken> {
    const seconds = Math.max(LEAST_TOKEN_SECONDS, Math.ceil((expiresAtMs - nowMs) / 1000));
    const path = `${accountsPath(names.namespace)}/${names.account}/token`;
    const answer = await post(path, tokenRequestBody(seconds));
    if (answer.kind !== 'done') throw goneError(names);
    const { token, expirationTimestamp } = member(answer.body, 'status');
    const lifeMs = Date.parse(String(expirationTimestamp)) - answer.serverMs;
    if (typeof token !== 'string' || token === '' || !(lifeMs > 0)) {
      throw new AppError('target_refused', `${resource.id} gave no token`);
    }
    if (lifeMs > (seconds + TOKEN_SLACK_SECONDS) * 1000) {
      throw new AppError('target_refused', `${resource.id} gives tokens that live longer than asked for`);
    }
    return { text: token, lifeMs };
  }

  async function post(path: string, body: object): Promise<Answer> {
    const timeoutMs = deadline.remainingMs();
    const answer = await api.call(resource, { method: 'POST', path, body, timeoutMs, signal });
    deadline.note(answer.serverMs);
    return answer;
  }

  async function get(path: string): Promise<Answer> {
    const answer = await api.call(resource, { method: 'GET', path, signal });
    deadline.note(answer.serverMs);
    return answer;
  }
}

function isBeingDeleted(body: Json): boolean {
  return member(body, 'metadata').deletionTimestamp !== undefined;
}

/** `roleRef` never changes at the API server, subjects can. */
function bindsTheSame(found: Json, wanted: ReturnType<typeof bindingBody>): boolean {
  const { kind, name } = member(found, 'roleRef');
  const subjects = Array.isArray(found.subjects) ? (found.subjects as Json[]) : [];
  const [subject, ...others] = subjects;
  const [expected] = wanted.subjects;
  return (
    kind === wanted.roleRef.kind &&
    name === wanted.roleRef.name &&
    others.length === 0 &&
    subject?.kind === 'ServiceAccount' &&
    subject.name === expected?.name &&
    subject.namespace === expected?.namespace
  );
}

function noNamespace({ id }: Resource, namespace: string | undefined): AppError {
  const hint = `on the broker's host: oncall broker target ${id} --check`;
  return new AppError('target_refused', `${id} has no namespace ${namespace}`, { hint });
}

function goneError({ account }: LoginNames): AppError {
  return new AppError('ended', `the cluster no longer has the login ${account}`);
}
