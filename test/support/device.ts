// A device that speaks the protocol by hand, so that a test can tamper with every part of what it sends.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { formatPublicKey, keyThumbprint } from '../../src/protocol/keys.ts';
import type { AuditProof, Enrolled } from '../../src/protocol/messages.ts';
import { signRequest } from '../../src/protocol/signature.ts';

export interface Sent {
  method: string;
  url: URL;
  headers: Record<string, string>;
  body: string | undefined;
}

export interface Answer<T = unknown> {
  status: number;
  /** `result` of an envelope, or the whole reply. */
  result: T;
  audit: AuditProof | undefined;
  error: { code: string; message: string; hint?: string; details?: unknown } | undefined;
  raw: unknown;
}

export interface CallOptions {
  createdSeconds?: number;
  nonce?: string;
  idempotencyKey?: string;
  /** Changes the message after it was signed. */
  tamper?: (sent: Sent) => void;
  tag?: string;
  /** Signed where the profile covers them. */
  headers?: Record<string, string>;
}

export class TestDevice {
  readonly keys = generateKeyPairSync('ed25519');
  readonly signingKey = formatPublicKey(this.keys.publicKey);
  readonly sealing = generateKeyPairSync('x25519');
  readonly sealingKey = formatPublicKey(this.sealing.publicKey);
  readonly keyId = keyThumbprint(this.signingKey);
  readonly base: string;
  readonly nowSeconds: () => number;
  id = '';
  user = '';

  constructor(base: string, nowSeconds = () => Math.floor(Date.now() / 1000)) {
    this.base = base;
    this.nowSeconds = nowSeconds;
  }

  async enroll(invitation: string, more: Partial<Record<string, unknown>> = {}): Promise<Answer<Enrolled>> {
    const secret = new URL(invitation).hash.slice(1).split('-')[0];
    const body = {
      secret,
      deviceName: 'test',
      signingKey: this.signingKey,
      sealingKey: this.sealingKey,
      keystore: 'file',
      ...more,
    };
    const answer = await this.call<Enrolled>('POST', '/v1/enroll', body, { tag: 'oncall-enroll' });
    if (answer.status === 200) {
      this.id = answer.result.device.id;
      this.user = answer.result.user;
    }
    return answer;
  }

  get<T>(path: string, options?: CallOptions): Promise<Answer<T>> {
    return this.call<T>('GET', path, undefined, options);
  }

  post<T>(path: string, body: unknown = {}, options?: CallOptions): Promise<Answer<T>> {
    return this.call<T>('POST', path, body, options);
  }

  async call<T>(method: string, path: string, body: unknown, options: CallOptions = {}): Promise<Answer<T>> {
    return send<T>(await this.prepare(method, path, body, options));
  }

  /** A signed message, ready to be sent: once, twice, or changed. */
  async prepare(method: string, path: string, body: unknown, options: CallOptions = {}): Promise<Sent> {
    const url = new URL(path, this.base);
    const text = body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body);
    const headers: Record<string, string> = { ...options.headers };
    if (text !== undefined) {
      headers['content-type'] = 'application/json';
      headers['idempotency-key'] = options.idempotencyKey ?? randomBytes(12).toString('base64url');
    }
    const added = await signRequest({
      method,
      url,
      headers,
      body: text === undefined ? undefined : Buffer.from(text),
      keyId: this.keyId,
      alg: 'ed25519',
      createdSeconds: options.createdSeconds ?? this.nowSeconds(),
      nonce: options.nonce ?? randomBytes(16).toString('base64url'),
      tag: options.tag ?? 'oncall',
      sign: (base) => sign(null, base, this.keys.privateKey),
    });
    const sent = { method, url, headers: { ...headers, ...added }, body: text };
    options.tamper?.(sent);
    return sent;
  }
}

export async function send<T>({ method, url, headers, body }: Sent): Promise<Answer<T>> {
  const response = await fetch(url, { method, headers, ...(body !== undefined && { body }) });
  const raw = (await response.json()) as Record<string, unknown>;
  return {
    status: response.status,
    result: (raw.result ?? raw) as T,
    audit: raw.audit as AuditProof | undefined,
    error: raw.error as Answer['error'],
    raw,
  };
}

/** Invites and enrols. */
export async function enrolled(
  installation: { url: string; invite(user: string): Promise<string> },
  user: string,
  nowSeconds?: () => number,
): Promise<TestDevice> {
  const device = new TestDevice(installation.url, nowSeconds);
  const answer = await device.enroll(await installation.invite(user));
  if (answer.status !== 200) throw new Error(`enrolling ${user}: ${JSON.stringify(answer.raw)}`);
  return device;
}
