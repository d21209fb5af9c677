/**
 * Calls to the API servers of clusters: JSON over TLS with the broker's own bearer token, which is read anew for each call, so
 * that a rotated one is picked up. No redirect is followed; each answer is bounded, and taken only where it says to be what
 * was asked for. Shapes: Kubernetes API reference, "API Conventions" and "Status v1 meta".
 */
import { Agent, errors } from 'undici';
import type { KubernetesSettings, Resource, SecretRef } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';

const CONNECTIONS = 4;
const CONNECT_MS = 5_000;
const ANSWER_MS = 10_000;
const IDLE_MS = 5_000;
const MAX_ANSWER_BYTES = 1_000_000;

export interface KubernetesAccess {
  resolveSecret: (ref: SecretRef) => Promise<string>;
  /** PEM text of a CA file named in the catalogue. */
  readCa: (file: string) => Promise<string>;
}

export interface Call {
  method: 'GET' | 'POST' | 'DELETE';
  /** From `/api` or `/apis` on, its parts encoded ({@link pathOf}). */
  path: string;
  body?: object;
  /** Sends it as a rehearsal that changes nothing (`dryRun=All`). */
  rehearsal?: boolean;
  /** The API server gives it up after so long, counted from its arrival there. Whole milliseconds, at least 1. */
  timeoutMs?: number;
  signal: AbortSignal;
}

export type Answer =
  | { kind: 'done'; body: Json; serverMs: number }
  /** The object is not there: the API server's own word, never a proxy's. */
  | { kind: 'absent'; serverMs: number }
  /** An object of this name is there already, or is being deleted. */
  | { kind: 'conflict'; serverMs: number };

export type Json = Readonly<Record<string, unknown>>;

export interface KubernetesApi {
  /** Throws AppError `target_unreachable` or `target_refused`; what the API server said is only in `cause`. */
  call(resource: Resource, call: Call): Promise<Answer>;
  close(): Promise<void>;
}

export function createKubernetesApi(access: KubernetesAccess): KubernetesApi {
  const agents = new Map<string, Agent>();

  async function agentOf({ caFile }: KubernetesSettings): Promise<Agent> {
    const ca = caFile === undefined ? undefined : await access.readCa(caFile);
    // A CA file that changes leads to a new agent; the old one's connections idle out.
    const key = ca ?? '';
    const known = agents.get(key);
    if (known) return known;
    const agent = new Agent({
      connections: CONNECTIONS,
      connect: { timeout: CONNECT_MS, ...(ca !== undefined && { ca }) },
      headersTimeout: ANSWER_MS,
      bodyTimeout: ANSWER_MS,
      keepAliveTimeout: IDLE_MS,
      maxResponseSize: MAX_ANSWER_BYTES,
    });
    agents.set(key, agent);
    return agent;
  }

  async function exchange(resource: Resource, call: Call): Promise<Answer> {
    const settings = kubernetesSettings(resource);
    const token = (await access.resolveSecret(settings.broker.token)).trim();
    const agent = await agentOf(settings);
    const url = new URL(`${settings.server}${call.path}`);
    if (call.timeoutMs !== undefined) url.searchParams.set('timeout', `${Math.max(1, call.timeoutMs)}ms`);
    if (call.rehearsal) url.searchParams.set('dryRun', 'All');
    call.signal.throwIfAborted();
    const response = await agent.request({
      origin: url.origin,
      path: `${url.pathname}${url.search}`,
      method: call.method,
      headers: {
        accept: 'application/json',
        authorization: `Bearer ${token}`,
        'user-agent': 'oncall-broker',
        ...(call.body && { 'content-type': 'application/json' }),
      },
      ...(call.body && { body: JSON.stringify(call.body) }),
      signal: call.signal,
    });
    const text = await response.body.text();
    return readAnswer(resource, response.statusCode, text, Date.parse(String(response.headers.date)));
  }

  return {
    async call(resource, call) {
      try {
        return await exchange(resource, call);
      } catch (error) {
        throw toAppError(error, resource.id, call.signal);
      }
    },
    async close() {
      await Promise.all([...agents.values()].map((agent) => agent.destroy()));
      agents.clear();
    },
  };
}

export function kubernetesSettings(resource: Resource): KubernetesSettings {
  if (resource.target.kind !== 'kubernetes') throw new AppError('internal', 'not a kubernetes resource');
  return resource.target;
}

/** A path of these parts, each a segment of its own whatever is in it. */
export function pathOf(...parts: readonly string[]): string {
  return `/${parts.map(encodeURIComponent).join('/')}`;
}

/** A member of an answer that is an object itself. */
export function member(body: Json, name: string): Json {
  const value = body[name];
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

function readAnswer(resource: Resource, status: number, text: string, serverMs: number): Answer {
  const body = parseObject(text);
  const isStatus = body?.kind === 'Status' && body.apiVersion === 'v1';
  if (body !== undefined && Number.isFinite(serverMs)) {
    if (status >= 200 && status < 300) return { kind: 'done', body, serverMs };
    // Something else under this address may answer 404 to everything: that proves nothing.
    if (status === 404 && isStatus && body.reason === 'NotFound' && member(body, 'details').name) {
      return { kind: 'absent', serverMs };
    }
    if (status === 409 && isStatus && (body.reason === 'AlreadyExists' || body.reason === 'Conflict')) {
      return { kind: 'conflict', serverMs };
    }
  }
  const cause = new Error(`${status} ${isStatus ? String(body.message) : text}`.slice(0, 500));
  const passing = status === 408 || status === 429 || status >= 500;
  if (passing) {
    return fail('target_unreachable', `${resource.id} is not ready (HTTP ${status})`, resource, cause);
  }
  if (status === 401) {
    return fail(
      'target_refused',
      `${resource.id} does not know the broker's token (HTTP 401)`,
      resource,
      cause,
    );
  }
  if (status === 403) {
    return fail(
      'target_refused',
      `${resource.id} does not let the broker do this (HTTP 403)`,
      resource,
      cause,
    );
  }
  if (status < 400 || !isStatus) {
    const message = `what answers for ${resource.id} does not behave like an API server (HTTP ${status})`;
    return fail('target_refused', message, resource, cause);
  }
  return fail('target_refused', `${resource.id} refused (HTTP ${status})`, resource, cause);
}

function fail(
  code: 'target_refused' | 'target_unreachable',
  message: string,
  { id }: Resource,
  cause: Error,
): never {
  const hint =
    code === 'target_refused' ? `on the broker's host: oncall broker target ${id} --check` : undefined;
  throw new AppError(code, message, { hint, cause });
}

function parseObject(text: string): Json | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Json) : undefined;
  } catch {
    return undefined;
  }
}

function toAppError(error: unknown, resource: string, signal: AbortSignal): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof errors.ResponseExceededMaxSizeError) {
    return new AppError('target_refused', `${resource} answered with too much`, { cause: error });
  }
  const message = signal.aborted ? 'did not answer in time' : 'cannot be reached';
  return new AppError('target_unreachable', `${resource} ${message}`, { cause: error });
}
