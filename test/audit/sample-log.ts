import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { formatCheckpoint } from '../../src/audit/checkpoint.ts';
import { embedEnrolment, embedRequest, type ReceivedRequest } from '../../src/audit/embedded.ts';
import {
  type AuditActor,
  type AuditEntry,
  type EmbeddedRequest,
  encodeEntry,
} from '../../src/audit/entry.ts';
import { readLines, writeExport } from '../../src/audit/export.ts';
import { leafHash, RootBuilder } from '../../src/audit/merkle.ts';
import { createReceipt, type Receipt } from '../../src/audit/receipt.ts';
import { algOfKey, formatPublicKey, keyThumbprint, rawPublicKey } from '../../src/protocol/keys.ts';
import { ENROLL_TAG, parseSignature, REQUEST_TAG, signRequest } from '../../src/protocol/signature.ts';

export const ORIGIN = 'oncall.example.com/audit';
const START_MS = Date.UTC(2026, 0, 2, 2, 14);

export interface KeyPair {
  privateKey: KeyObject;
  /** As text. */
  publicKey: string;
}

export function ed25519(): KeyPair {
  const { privateKey } = generateKeyPairSync('ed25519');
  return { privateKey, publicKey: formatPublicKey(privateKey) };
}

export function p256(): KeyPair {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { privateKey, publicKey: formatPublicKey(privateKey) };
}

export function noteSigner(key: KeyPair, name = ORIGIN) {
  return {
    name,
    publicKey: rawPublicKey(key.publicKey),
    sign: (message: Uint8Array) => sign(null, message, key.privateKey),
  };
}

/** `named` is the key that the signature names; the one that signs unless told. */
export async function signedRequest(
  key: KeyPair,
  body: object,
  seconds = 0,
  named = key,
): Promise<EmbeddedRequest> {
  const url = new URL('https://oncall.example.com/v1/requests?dry=no');
  const request = await received(url, key, body, REQUEST_TAG, seconds, named);
  return embedRequest(request, componentsOf(request));
}

export const CODE = 'c0de0fthe1nv1tat10n0000000';

/** What proves that the key was there when it was enrolled; `tag` is what the signature was made for. */
export async function enrolment(key: KeyPair, tag: string = ENROLL_TAG): Promise<EmbeddedRequest> {
  const url = new URL('https://oncall.example.com/v1/enroll');
  const request = await received(url, key, { secret: CODE, signingKey: key.publicKey }, tag);
  return embedEnrolment(request, componentsOf(request));
}

async function received(
  url: URL,
  key: KeyPair,
  body: object,
  tag: string,
  seconds = 0,
  named = key,
): Promise<ReceivedRequest> {
  const bytes = Buffer.from(JSON.stringify(body));
  const own = { 'content-type': 'application/json', 'idempotency-key': 'key-0001' };
  const headers = await signRequest({
    method: 'POST',
    url,
    headers: own,
    body: bytes,
    keyId: keyThumbprint(named.publicKey),
    alg: algOfKey(key.privateKey),
    createdSeconds: START_MS / 1000 + seconds,
    nonce: `nonce-of-the-sample-${seconds}`,
    tag,
    sign: (base) =>
      sign(key.privateKey.asymmetricKeyType === 'ec' ? 'sha256' : null, base, {
        key: key.privateKey,
        dsaEncoding: 'ieee-p1363',
      }),
  });
  return {
    method: 'POST',
    authority: url.host,
    path: url.pathname,
    query: url.search.slice(1),
    headers: { ...own, ...headers, 'user-agent': 'never signed' },
    body: bytes,
    publicKey: key.publicKey,
  };
}

function componentsOf({ headers }: ReceivedRequest): readonly string[] {
  return parseSignature(headers).components;
}

type Draft = Pick<AuditEntry, 'event' | 'actor' | 'data'> & Partial<AuditEntry>;

/** A log of a broker: append entries, then take its export, its checkpoints and its receipts. */
export class SampleLog {
  readonly logKey: KeyPair;
  readonly identityKey: KeyPair;
  readonly entries: AuditEntry[] = [];

  constructor(logKey = ed25519(), identityKey = ed25519()) {
    this.logKey = logKey;
    this.identityKey = identityKey;
  }

  add(draft: Draft): number {
    const index = this.entries.length;
    this.entries.push({ v: 1, index, at: new Date(START_MS + index * 1000).toISOString(), ...draft });
    return index;
  }

  checkpoint(size = this.entries.length): string {
    const tree = new RootBuilder();
    for (const entry of this.entries.slice(0, size)) tree.append(leafHash(encodeEntry(entry)));
    return formatCheckpoint({ origin: ORIGIN, size, rootHash: tree.root() }, noteSigner(this.logKey));
  }

  receipt(index: number): Receipt {
    const entry = this.entries[index]!;
    return createReceipt(
      { origin: ORIGIN, index, leafHash: leafHash(encodeEntry(entry)), at: entry.at },
      noteSigner(this.identityKey).sign,
    );
  }

  /** The lines of the export, without their newlines. */
  async lines(): Promise<string[]> {
    const rows = this.entries.map((entry) => {
      const bytes = encodeEntry(entry);
      return {
        entry: Buffer.from(bytes).toString(),
        leafHash: Buffer.from(leafHash(bytes)).toString('base64url'),
      };
    });
    const header = {
      origin: ORIGIN,
      logPublicKey: this.logKey.publicKey,
      identityPublicKey: this.identityKey.publicKey,
    };
    const chunks = (async function* (text: AsyncIterable<string>) {
      for await (const line of text) yield Buffer.from(line);
    })(writeExport(header, rows, () => this.checkpoint()));
    const lines: string[] = [];
    for await (const line of readLines(chunks)) lines.push(line);
    return lines;
  }

  /** What a client that pinned this broker passes. */
  get pins() {
    return { logPublicKey: this.logKey.publicKey, identityPublicKey: this.identityKey.publicKey };
  }
}

export const alice: AuditActor = { kind: 'user', id: 'alice', device: 'dev_alice' };
export const bob: AuditActor = { kind: 'user', id: 'bob', device: 'dev_bob' };
const broker: AuditActor = { kind: 'broker', id: 'broker' };

export async function enrolled(actor: AuditActor, key: KeyPair): Promise<Draft> {
  return {
    event: 'device.enrolled',
    actor,
    data: { publicKey: key.publicKey },
    embedded: await enrolment(key),
  };
}

/** 0–1: two devices enrolled. 2: broker. 3–4: signed by alice and bob. 5 on: broker entries, to `count`. */
export async function sampleLog(count = 20) {
  const log = new SampleLog();
  const keys = { alice: ed25519(), bob: p256() };
  log.add(await enrolled(alice, keys.alice));
  log.add(await enrolled(bob, keys.bob));
  log.add({ event: 'broker.started', actor: broker, data: { version: '0.1.0' } });
  log.add({
    event: 'request.created',
    actor: alice,
    subject: { request: 'req_1' },
    data: { targets: ['db-replica:read'] },
    embedded: await signedRequest(keys.alice, { targets: [{ resource: 'db-replica' }] }, 1),
  });
  log.add({
    event: 'request.approved',
    actor: bob,
    subject: { request: 'req_1' },
    data: { durationSeconds: 7200 },
    embedded: await signedRequest(keys.bob, { digest: 'x' }, 2),
  });
  while (log.entries.length < count) {
    log.add({ event: 'grant.renewed', actor: broker, data: { number: log.entries.length, text: 'ü – 山' } });
  }
  return { log, keys };
}

export async function* stream(lines: Iterable<string>): AsyncGenerator<string> {
  yield* lines;
}
