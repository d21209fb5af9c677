/**
 * Whether the broker does its work, as a device sees it from where it stands: every endpoint by itself, then one real decision.
 * No check hides another's result, and each has a deadline.
 */
import { randomBytes, type X509Certificate } from 'node:crypto';
import { AppError, isAppError } from '../protocol/errors.ts';
import type { Identity } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import { formatInstant, parseInstant } from '../protocol/time.ts';
import { isSignedIdentity, isSignedTime, readReply } from './answer.ts';
import { createAuditMemory } from './audit-memory.ts';
import { dryRunRequest, getCheckpoint, listResources } from './calls.ts';
import type { Client } from './client.ts';
import type { ClientConfig } from './config.ts';
import { explainUnreachable, openTls } from './connect.ts';
import { openEndpoints } from './endpoints.ts';
import { bareHost } from './proxy.ts';
import { explainTlsFailure, readTrust } from './tls.ts';
import { createTransport, type Transport } from './transport.ts';

export type ProbeState = 'ok' | 'warn' | 'fail';

export interface ProbeResult {
  /** `health`, `readiness`, `time`, `certificate`, `decision`, `audit`. */
  readonly check: string;
  /** Of which broker; null for what is asked of whichever answers. */
  readonly endpoint: string | null;
  readonly state: ProbeState;
  readonly tookMs: number;
  /** In words; never secret. */
  readonly detail: string;
  /** What a monitor draws: seconds for `time` (broker minus here) and `certificate` (left), entries for `audit`. */
  readonly value: number | null;
}

export interface ProbeOptions {
  /** What the decision is asked about; the first resource there is unless told. */
  readonly target: { readonly resource: string; readonly role?: string } | undefined;
  readonly timeoutMs: number;
}

type Verdict = Pick<ProbeResult, 'state' | 'detail'> & { readonly value?: number };

const DAY_SECONDS = 86_400;
const CERTIFICATE_WARN_SECONDS = 30 * DAY_SECONDS;
const CERTIFICATE_FAIL_SECONDS = 3 * DAY_SECONDS;
/** Beyond it every first request is refused and corrected. */
const SKEW_WARN_SECONDS = 5;

export async function probeBroker(client: Client, options: ProbeOptions): Promise<readonly ProbeResult[]> {
  const { config, context } = client;
  const endpoints = openEndpoints(config, context.paths, context.now).inOrder();
  const ofEndpoints = endpoints.map((endpoint) => probeEndpoint(client, endpoint, options));
  const ofAll = [
    measured('decision', null, () => probeDecision(client, options)),
    measured('audit', null, () => probeAudit(client)),
  ];
  return (await Promise.all([...ofEndpoints, ...ofAll])).flat();
}

async function probeEndpoint(
  { config, context }: Client,
  endpoint: URL,
  { timeoutMs }: ProbeOptions,
): Promise<ProbeResult[]> {
  const { env, now } = context;
  const places = { inOrder: () => [endpoint], answered() {}, failed() {} };
  const transport = createTransport(new URL(config.broker), config, env, now, places);
  const ask = (path: string, nonce = '') => askOpenly(transport, config, path, nonce, timeoutMs);
  try {
    return await Promise.all([
      measured('health', endpoint, async () => {
        await ask('healthz');
        return { state: 'ok', detail: 'answers' };
      }),
      measured('readiness', endpoint, async () => {
        await ask('readyz');
        return { state: 'ok', detail: 'its store takes writes' };
      }),
      measured('time', endpoint, () => probeTime(config, now, (nonce) => ask('v1/identity', nonce))),
      ...(endpoint.protocol === 'https:'
        ? [
            measured('certificate', endpoint, () =>
              probeCertificate(config, endpoint, { env, now, timeoutMs }),
            ),
          ]
        : []),
    ]);
  } finally {
    transport.close();
  }
}

async function askOpenly(
  transport: Transport,
  { broker }: Pick<ClientConfig, 'broker'>,
  path: string,
  nonce: string,
  timeoutMs: number,
): Promise<unknown> {
  const url = new URL(path, broker);
  const headers = { accept: 'application/json', ...(nonce !== '' && { 'oncall-nonce': nonce }) };
  const rest = { body: undefined, timeoutMs, signal: undefined, streams: false, onSent: undefined };
  return readReply(await transport.send({ method: 'GET', url, headers, ...rest }));
}

async function probeTime(
  { identityKey, logKey }: Pick<ClientConfig, 'identityKey' | 'logKey'>,
  now: () => number,
  ask: (nonce: string) => Promise<unknown>,
): Promise<Verdict> {
  const nonce = randomBytes(16).toString('base64url');
  const identity = (await ask(nonce)) as Identity;
  const isOurs = identity.identityKey === identityKey && identity.logKey === logKey;
  if (!isOurs || !isSignedTime(identity.time, nonce, identityKey) || !isSignedIdentity(identity))
    throw new AppError('tls_untrusted', 'it does not prove that it is the broker that this device knows', {
      hint: 'ask whoever runs it what stands at that address',
    });
  const skewSeconds = Math.round((parseInstant(identity.time.now) - now()) / 100) / 10;
  const isFar = Math.abs(skewSeconds) > SKEW_WARN_SECONDS;
  const detail = isFar
    ? `its clock is ${Math.abs(skewSeconds)} s ${skewSeconds > 0 ? 'ahead of' : 'behind'} this one`
    : 'signed, and its clock agrees with this one';
  return { state: isFar ? 'warn' : 'ok', detail, value: skewSeconds };
}

async function probeCertificate(
  config: Pick<ClientConfig, 'broker' | 'ca' | 'identityCertificate'>,
  endpoint: URL,
  { env, now, timeoutMs }: Pick<Client['context'], 'env' | 'now'> & { timeoutMs: number },
): Promise<Verdict> {
  const name = bareHost(new URL(config.broker));
  let endsAtMs = Number.NaN;
  const way = {
    ...{ url: endpoint, name, env, signal: AbortSignal.timeout(timeoutMs) },
    onCertificate(leaf: X509Certificate | undefined) {
      endsAtMs = Date.parse(leaf?.validTo ?? '');
    },
  };
  const socket = await openTls(way, readTrust(config, env), now).catch(async (error: Error) => {
    throw (await explainTlsFailure(error, endpoint, env)) ?? explainUnreachable(error, endpoint);
  });
  socket.destroy();
  const leftSeconds = Math.floor((endsAtMs - now()) / 1000);
  const isEnding = !(leftSeconds > CERTIFICATE_FAIL_SECONDS);
  const state = isEnding ? 'fail' : leftSeconds > CERTIFICATE_WARN_SECONDS ? 'ok' : 'warn';
  const detail = `its TLS certificate ends ${formatInstant(endsAtMs)}`;
  return {
    state,
    detail: state === 'ok' ? detail : `${detail}: oncall broker rotate tls`,
    value: leftSeconds,
  };
}

/** Any answer of the policy is a good one. */
async function probeDecision({ broker }: Client, { target }: ProbeOptions): Promise<Verdict> {
  const asked = target ?? { resource: (await listResources(broker)).resources[0]?.name ?? '' };
  if (asked.resource === '') return { state: 'warn', detail: 'the catalogue has no resource to ask for' };
  const { targets } = await dryRunRequest(broker, { targets: [asked] });
  const words = targets.map((one) => `${formatTarget(one.target)}: ${one.effect}`).join(', ');
  return { state: 'ok', detail: words };
}

async function probeAudit({ broker, context, config }: Client): Promise<Verdict> {
  const fetchCheckpoint = (size: number) => getCheckpoint(broker, size);
  const { paths, now } = context;
  const { from, to } = await createAuditMemory({ paths, trust: config, now, fetchCheckpoint }).advance();
  const detail =
    from === 0 ? `${to} entries, signed` : `${to} entries, signed, and they continue the ${from} seen before`;
  return { state: 'ok', detail, value: to };
}

async function measured(
  check: string,
  endpoint: URL | null,
  run: () => Promise<Verdict>,
): Promise<ProbeResult> {
  const began = performance.now();
  const verdict = await run().catch((error: unknown): Verdict => {
    const detail = isAppError(error) ? error.message : 'it failed in a way that nobody expected';
    return { state: 'fail', detail };
  });
  const tookMs = Math.round(performance.now() - began);
  const { state, detail, value = null } = verdict;
  return { check, endpoint: endpoint?.href ?? null, state, tookMs, detail, value };
}
