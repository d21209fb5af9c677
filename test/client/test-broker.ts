// A small, strict broker for the client's tests: real TLS under an Ed25519 identity CA, real signature checks with the broker's
// own verifier, a real Merkle log with receipts and checkpoints. What it answers is up to each test.
import 'reflect-metadata';
import { generateKeyPairSync, type KeyObject, sign, webcrypto } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import * as x509 from '@peculiar/x509';
import { formatCheckpoint } from '../../src/audit/checkpoint.ts';
import { appendLeaf, consistencyProof, leafHash, treeRoot } from '../../src/audit/merkle.ts';
import { createReceipt } from '../../src/audit/receipt.ts';
import { fingerprintOf } from '../../src/client/tls.ts';
import { identityStatement } from '../../src/protocol/identity.ts';
import { encodeBase32 } from '../../src/protocol/ids.ts';
import { formatPublicKey, keyThumbprint, parsePublicKey, rawPublicKey } from '../../src/protocol/keys.ts';
import type { AuditProof, SignedTime } from '../../src/protocol/messages.ts';
import { refusalStatement, type Refusal as SignedRefusal } from '../../src/protocol/refusal.ts';
import { parseSignature, verifySignature } from '../../src/protocol/signature.ts';
import { formatInstant, timeStatement } from '../../src/protocol/time.ts';
import { atEnd } from '../support/at-end.ts';

export const ORIGIN = 'oncall.test/audit';

export interface Asked {
  method: string;
  path: string;
  body: unknown;
  headers: IncomingMessage['headers'];
}

export interface Refusal {
  status: number;
  code: string;
  message?: string;
  hint?: string;
  details?: object;
}

export class TestLog {
  readonly keys: { publicKey: KeyObject; privateKey: KeyObject };
  readonly #nodes = new Map<string, Uint8Array>();
  #size = 0;

  constructor(keys: TestLog['keys'] = generateKeyPairSync('ed25519')) {
    this.keys = keys;
  }

  get size(): number {
    return this.#size;
  }

  /** The same log so far, under the same key, that goes its own way from here. */
  fork(): TestLog {
    const other = new TestLog(this.keys);
    for (const [ref, hash] of this.#nodes) other.#nodes.set(ref, hash);
    other.#size = this.#size;
    return other;
  }

  readonly #read = async (refs: readonly { level: number; index: number }[]) =>
    refs.map(({ level, index }) => this.#nodes.get(`${level}/${index}`)!);

  async append(text: string): Promise<{ index: number; leaf: Uint8Array }> {
    const leaf = leafHash(Buffer.from(text));
    const { nodes } = await appendLeaf(this.#read, this.#size, leaf);
    for (const { level, index, hash } of nodes) this.#nodes.set(`${level}/${index}`, hash);
    return { index: this.#size++, leaf };
  }

  async checkpoint(): Promise<string> {
    return formatCheckpoint(
      { origin: ORIGIN, size: this.#size, rootHash: await treeRoot(this.#read, this.#size) },
      {
        name: ORIGIN,
        publicKey: rawPublicKey(formatPublicKey(this.keys.publicKey)),
        sign: (message) => sign(null, message, this.keys.privateKey),
      },
    );
  }

  async consistency(from: number): Promise<string[]> {
    const proof = await consistencyProof(this.#read, from, this.#size);
    return proof.map((hash) => Buffer.from(hash).toString('base64'));
  }
}

export class TestBroker {
  readonly identity: KeyObject;
  readonly identityKey: string;
  readonly identityCertificate: string;
  readonly log: TestLog;
  /** Answers by `METHOD /path`; what a function returns is the result. */
  readonly routes = new Map<string, (asked: Asked) => unknown>();
  /** Public signing keys by thumbprint. */
  readonly devices = new Map<string, string>();
  readonly asked: Asked[] = [];
  /** Its clock minus the real one. */
  skewMs = 0;
  /** How many connections are cut after the request was read, and done. */
  cuts = 0;
  /** What it signs of a refusal, and with what; undefined for none. */
  signsRefusal: (said: SignedRefusal) => { said: SignedRefusal; key?: KeyObject } | undefined = (said) => ({
    said,
  });
  url = '';
  /** What it says that it runs; nothing where undefined, as older ones do. */
  version: string | undefined;
  readonly #replies = new Map<string, string>();
  readonly #nonces = new Set<string>();

  constructor(identity: KeyObject, certificate: string, log: TestLog) {
    this.identity = identity;
    this.identityKey = formatPublicKey(identity);
    this.identityCertificate = certificate;
    this.log = log;
  }

  get trust() {
    return {
      broker: this.url,
      identityKey: this.identityKey,
      identityCertificate: this.identityCertificate,
      logKey: formatPublicKey(this.log.keys.publicKey),
      origin: ORIGIN,
      ca: 'pinned',
    };
  }

  invitation(secret = encodeBase32(Buffer.alloc(16, 7))): string {
    return `${this.url}#${secret}-${fingerprintOf(this.identityKey)}`;
  }

  now(): number {
    return Date.now() + this.skewMs;
  }

  time(nonce: string): SignedTime {
    const now = formatInstant(this.now());
    const signature = sign(null, timeStatement(nonce, now), this.identity).toString('base64url');
    return { now, nonce, signature };
  }

  async proof(since: number, entry: string, log = this.log): Promise<AuditProof> {
    const { index, leaf } = await log.append(entry);
    const at = formatInstant(this.now());
    return {
      receipt: createReceipt({ origin: ORIGIN, index, leafHash: leaf, at }, (message) =>
        sign(null, message, this.identity),
      ),
      checkpoint: await log.checkpoint(),
      consistency: await log.consistency(since),
    };
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const [status, text, streaming] = await this.#answer(request, Buffer.concat(chunks));
    if (this.version !== undefined) response.setHeader('oncall-version', this.version);
    if (streaming !== undefined) {
      response.writeHead(status, { 'content-type': 'text/event-stream' }).flushHeaders();
      return streaming.begin(response);
    }
    if (this.cuts > 0) {
      this.cuts--;
      request.socket.destroy();
      return;
    }
    response.writeHead(status, { 'content-type': 'application/json' }).end(text);
  }

  async #answer(request: IncomingMessage, body: Buffer): Promise<[number, string, Streaming?]> {
    const { method = '', url = '', headers } = request;
    if (url === '/v1/identity') {
      const { identityKey, logKey, origin } = this.trust;
      const time = this.time(String(headers['oncall-nonce'] ?? ''));
      const says = { identityKey, origin, logKey, publicUrl: this.url };
      const signature = sign(null, identityStatement(says), this.identity).toString('base64url');
      return [200, JSON.stringify({ ...says, version: this.version ?? 'test', time, signature })];
    }
    let by = { nonce: '', keyId: '' };
    try {
      const parsed = parseSignature(headers);
      by = { nonce: parsed.nonce, keyId: parsed.keyId };
      if (this.#nonces.has(by.nonce)) throw new Error('replayed');
      this.#nonces.add(by.nonce);
      const isEnrolment = url === '/v1/enroll';
      const text = isEnrolment
        ? String(JSON.parse(body.toString()).signingKey)
        : this.devices.get(parsed.keyId);
      if (text === undefined || keyThumbprint(text) !== parsed.keyId) throw new Error('unknown key');
      const [path = '', query = ''] = url.split('?');
      verifySignature({
        method,
        authority: new URL(this.url).host,
        path,
        query,
        headers,
        body: body.length > 0 ? body : undefined,
        parsed,
        publicKey: parsePublicKey(text),
        tag: isEnrolment ? 'oncall-enroll' : 'oncall',
        nowMs: this.now(),
      });
    } catch {
      return [401, this.#error({ status: 401, code: 'unauthenticated' }, by)];
    }
    return this.#dispatch(
      { method, path: url, body: body.length > 0 ? JSON.parse(body.toString()) : undefined, headers },
      by,
    );
  }

  async #dispatch(asked: Asked, by: By): Promise<[number, string, Streaming?]> {
    this.asked.push(asked);
    const key = String(asked.headers['idempotency-key'] ?? '');
    const known = this.#replies.get(key);
    if (key !== '' && known !== undefined) return [200, known];
    const path = asked.path.split('?')[0];
    if (path === '/v1/audit/checkpoint') {
      const from = Number(new URL(asked.path, 'http://x').searchParams.get('from'));
      const reply = {
        checkpoint: await this.log.checkpoint(),
        consistency: await this.log.consistency(from),
      };
      return [200, JSON.stringify(reply)];
    }
    const route = this.routes.get(`${asked.method} ${path}`);
    if (route === undefined) return [404, this.#error({ status: 404, code: 'not_found' }, by)];
    const result = await route(asked);
    if (result instanceof Refused) return [result.refusal.status, this.#error(result.refusal, by)];
    if (result instanceof Streaming) return [200, '', result];
    if (result instanceof Raw) return [result.status, result.text];
    if (asked.method === 'GET') return [200, JSON.stringify(result)];
    const since = Number(asked.headers['oncall-seen-size']);
    const text = JSON.stringify({ result, audit: await this.proof(since, JSON.stringify(asked.body)) });
    this.#replies.set(key, text);
    return [200, text];
  }

  #error({ code, message = 'no', hint, details }: Refusal, by: By): string {
    const time = this.time(by.nonce);
    const signs = this.signsRefusal({ code, message, hint, ...by, now: time.now });
    const signature = signs && sign(null, refusalStatement(signs.said), signs.key ?? this.identity);
    return JSON.stringify({
      error: { code, message, ...(hint && { hint }), ...(details && { details }) },
      correlationId: 'cor_1',
      time,
      ...(signature && { signature: signature.toString('base64url') }),
    });
  }
}

interface By {
  nonce: string;
  keyId: string;
}

export class Refused {
  readonly refusal: Refusal;

  constructor(refusal: Refusal) {
    this.refusal = refusal;
  }
}

/** An answer as it stands. */
export class Raw {
  readonly status: number;
  readonly text: string;

  constructor(status: number, text: string) {
    this.status = status;
    this.text = text;
  }
}

/** An answer without an end, written to by the test. */
export class Streaming {
  readonly begin: (response: ServerResponse) => void;

  constructor(begin: (response: ServerResponse) => void) {
    this.begin = begin;
  }
}

const CRYPTO = webcrypto as unknown as Parameters<typeof x509.cryptoProvider.set>[0];
const P256 = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
const ED25519 = { name: 'Ed25519' };
const A_DAY_MS = 86_400_000;

/** A CA (Ed25519 unless told) and what it needs to sign leaves. */
export async function makeCa(
  name: string,
  algorithm: { name: string } = ED25519,
  { days = [-1, 1] }: { days?: readonly [number, number] } = {},
) {
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: '01',
      name: `CN=${name}`,
      keys,
      signingAlgorithm: algorithm,
      notBefore: new Date(Date.now() + days[0] * A_DAY_MS),
      notAfter: new Date(Date.now() + days[1] * A_DAY_MS),
      extensions: [new x509.BasicConstraintsExtension(true, 0, true)],
    },
    CRYPTO,
  );
  return { keys, algorithm, certificate, pem: certificate.toString('pem') };
}

export type TestCa = Awaited<ReturnType<typeof makeCa>>;

export interface LeafOptions {
  expired?: boolean;
  host?: string;
  /** Days from now between which it is in force. */
  days?: readonly [number, number];
  more?: x509.Extension[];
}

/** Key and chain (leaf, CA) of a TLS server on 127.0.0.1 and localhost. */
export async function makeLeaf(
  ca: TestCa,
  options: LeafOptions = {},
): Promise<{ key: string; cert: string }> {
  const { key, cert } = await makeIssued(ca, options);
  return { key, cert };
}

/** {@link makeLeaf}, with all that it would need to sign others: it may not. */
export async function makeIssued(
  ca: TestCa,
  { expired = false, host = 'localhost', days = [-1, expired ? -0.001 : 1], more = [] }: LeafOptions = {},
): Promise<TestCa & { key: string; cert: string }> {
  const keys = (await webcrypto.subtle.generateKey(P256, true, [
    'sign',
    'verify',
  ])) as webcrypto.CryptoKeyPair;
  const names: x509.JsonGeneralNames = [{ type: 'dns', value: host }];
  if (host === 'localhost') names.push({ type: 'ip', value: '127.0.0.1' });
  const certificate = await x509.X509CertificateGenerator.create(
    {
      serialNumber: '02',
      subject: `CN=${host}`,
      issuer: ca.certificate.subject,
      publicKey: keys.publicKey,
      signingKey: ca.keys.privateKey,
      signingAlgorithm: ca.algorithm,
      notBefore: new Date(Date.now() + days[0] * A_DAY_MS),
      notAfter: new Date(Date.now() + days[1] * A_DAY_MS),
      extensions: [new x509.SubjectAlternativeNameExtension(names), ...more],
    },
    CRYPTO,
  );
  const der = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  const pem = `${certificate.toString('pem')}\n${ca.pem}\n`;
  return {
    keys,
    algorithm: P256,
    certificate,
    pem,
    key: x509.PemConverter.encode(der, 'PRIVATE KEY'),
    cert: pem,
  };
}

export interface StartOptions {
  /** Plain HTTP, as on loopback. */
  plain?: boolean;
  expired?: boolean;
  host?: string;
  log?: TestLog;
}

export async function startTestBroker(options: StartOptions = {}): Promise<TestBroker> {
  const ca = await makeCa('oncall broker identity');
  const der = await webcrypto.subtle.exportKey('pkcs8', ca.keys.privateKey);
  const { createPrivateKey } = await import('node:crypto');
  const identity = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' });
  const broker = new TestBroker(identity, ca.pem, options.log ?? new TestLog());
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    void broker.handle(request, response).catch((error: Error) => response.destroy(error));
  };
  const server = options.plain
    ? createServer(onRequest)
    : createTlsServer(await makeLeaf(ca, options), onRequest);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  broker.url = `${options.plain ? 'http' : 'https'}://127.0.0.1:${port}/`;
  atEnd(() => {
    server.closeAllConnections();
    server.close();
  });
  return broker;
}
