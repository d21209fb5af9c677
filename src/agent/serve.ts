/**
 * What the agent does for a command that asks. It signs whatever the command would sign by itself: same user, same key. What is a
 * person's own act, for which more than this may be demanded one day, is told apart in one place.
 */
import type { AgentReply, AgentRequest, CallRequest } from '../client/agent-wire.ts';
import { toWire } from '../client/agent-wire.ts';
import type { Client } from '../client/client.ts';
import { parseDeviceRecord } from '../client/device-record.ts';
import { type Ensured, ensureEach } from '../client/hold.ts';
import { AppError } from '../protocol/errors.ts';
import type { GrantView } from '../protocol/messages.ts';

const LONGEST_CALL_MS = 120_000;
const MOST_GRANTS = 500;

export interface Served {
  /** Undefined until the device's keys are there. */
  readonly client: () => Client | undefined;
  readonly hold: (record: ReturnType<typeof parseDeviceRecord> | null) => Promise<void>;
  readonly status: () => object;
  readonly stop: () => void;
  /** Credentials have been fetched. */
  readonly held: () => void;
}

export type Answer = AgentReply | { readonly chunks: AsyncIterable<Uint8Array> };

/** Never throws. `signal` fires when the command has gone. */
export async function serve(request: unknown, served: Served, signal: AbortSignal): Promise<Answer> {
  try {
    return await answer(readRequest(request), served, signal);
  } catch (error) {
    return { ok: false, error: toWire(error) };
  }
}

async function answer(request: AgentRequest, served: Served, signal: AbortSignal): Promise<Answer> {
  if (request.op === 'status') return fine(served.status());
  if (request.op === 'stop') {
    served.stop();
    return fine(null);
  }
  if (request.op === 'hold') {
    await served.hold(request.record);
    return fine(null);
  }
  const client = served.client();
  if (client === undefined) throw new AppError('keychain_locked', 'the agent has no keys yet');
  if (request.op === 'stream') return { chunks: await client.broker.stream(request.path, { signal }) };
  const value =
    request.op === 'call' ? await call(client, request, signal) : await ensure(client, request, served);
  return fine(value, client.broker.skewMs);
}

async function call(client: Client, request: CallRequest, signal: AbortSignal): Promise<unknown> {
  const { method, path, body = {}, idempotencyKey, recordsNothing = false } = request;
  if (!isForwarded(request)) throw new AppError('forbidden', 'the agent does not sign this');
  const timeoutMs = Math.min(request.timeoutMs ?? LONGEST_CALL_MS, LONGEST_CALL_MS);
  if (method === 'GET') return client.broker.get(path, { timeoutMs, signal });
  const key = idempotencyKey === undefined ? {} : { idempotencyKey };
  return client.broker.post(path, body, { timeoutMs, signal, recordsNothing, ...key });
}

/** Renewals and what only looks are the agent's own to sign. */
const BY_ITSELF =
  /^\/v1\/grants\/[^/]+\/(credentials|extend)$|^\/v1\/(requests\/dry-run|revoke\/dry-run|explain)$/;

/** What only a person does: asking, answering, giving back, taking away, devices. */
export function isHumanAct({ method, path }: Pick<CallRequest, 'method' | 'path'>): boolean {
  return method === 'POST' && !BY_ITSELF.test(path);
}

/**
 * The one place where it is decided what a command may have signed here. A signature shows no presence today, whoever makes it,
 * so human acts are signed as well: a policy that demands more refuses them either way.
 */
function isForwarded({ path }: CallRequest): boolean {
  return path.startsWith('/v1/') && !path.startsWith('/v1/enroll');
}

async function ensure(
  client: Client,
  { grants, renewAfter }: Extract<AgentRequest, { op: 'ensure' }>,
  served: Served,
): Promise<unknown> {
  // Not given up when the command goes: what was begun at the broker is to be found here.
  const ensured: Ensured[] = await ensureEach(client, grants, renewAfter === undefined ? {} : { renewAfter });
  served.held();
  return ensured.map((result) => {
    if (result.status === 'rejected') throw result.reason;
    return result.value;
  });
}

function fine(value: unknown, skewMs = 0): AgentReply {
  return { ok: true, value, skewMs };
}

/** Strict: whatever sits at the other end, it gets no further with half a request. Throws AppError `invalid_request`. */
function readRequest(value: unknown): AgentRequest {
  if (!isRecord(value)) throw invalid();
  const { op } = value;
  if (op === 'status' || op === 'stop') return { op };
  if (op === 'hold') {
    const record = value.record === null ? null : parseDeviceRecord(JSON.stringify(value.record));
    return { op, record };
  }
  if (op === 'stream' && isEventPath(value.path)) return { op, path: value.path };
  if (op === 'ensure' && Array.isArray(value.grants) && value.grants.length <= MOST_GRANTS) {
    if (!value.grants.every(isGrant)) throw invalid();
    const { renewAfter } = value;
    return { op, grants: value.grants, ...(typeof renewAfter === 'number' ? { renewAfter } : {}) };
  }
  if (op === 'call') return readCall(value);
  throw invalid();
}

function readCall({
  method,
  path,
  body,
  idempotencyKey,
  recordsNothing,
  timeoutMs,
}: Record<string, unknown>): CallRequest {
  if ((method !== 'GET' && method !== 'POST') || typeof path !== 'string') throw invalid();
  if (body !== undefined && !isRecord(body)) throw invalid();
  if (idempotencyKey !== undefined && typeof idempotencyKey !== 'string') throw invalid();
  if (timeoutMs !== undefined && !(typeof timeoutMs === 'number' && timeoutMs > 0)) throw invalid();
  return {
    ...{ op: 'call', method, path, recordsNothing: recordsNothing === true },
    ...(body === undefined ? {} : { body }),
    ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
}

function isEventPath(path: unknown): path is string {
  return typeof path === 'string' && /^\/v1\/events(\?after=\d{1,15})?$/.test(path);
}

/** As much of it as is used here. */
function isGrant(value: unknown): value is GrantView {
  return (
    isRecord(value) &&
    [value.id, value.kind, value.state, value.endsAt].every((text) => typeof text === 'string') &&
    isRecord(value.target) &&
    typeof value.target.resource === 'string' &&
    typeof value.target.role === 'string' &&
    Array.isArray(value.credentials)
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(): AppError {
  return new AppError('invalid_request', 'not a request that the agent knows');
}
