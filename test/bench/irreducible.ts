// What a broker cannot leave out between a signed request and a certificate, each part measured by itself in this run.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import type { Policy } from '../../src/policy/policy.ts';
import { STARTER_POLICY } from '../../src/policy/starter.ts';
import { parsePublicKey } from '../../src/protocol/keys.ts';
import { parseSignature, REQUEST_TAG, verifySignature } from '../../src/protocol/signature.ts';
import { encodeCertificate } from '../../src/protocol/ssh-certificate.ts';
import { sshPublicKeyBlob } from '../../src/protocol/ssh-wire.ts';
import { incident, load, question, shift } from '../policy/questions.ts';
import type { Sent, TestDevice } from '../support/device.ts';
import { benchCatalogue, HOSTS, TYPIST } from './broker.ts';
import { openDurableCommit } from './calibration.ts';

export interface Part {
  readonly name: string;
  /** How often it happens for one request and its certificate. */
  readonly count: number;
  /** Does it once. */
  readonly once: () => unknown;
}

export async function irreducibleParts({
  sent,
  device,
}: {
  sent: Sent;
  device: TestDevice;
}): Promise<Part[]> {
  return [
    { name: 'request signature checked', count: 2, once: signatureCheck(sent, device) },
    { name: 'policy decision (grant, renew)', count: 2, once: decision() },
    { name: 'SSH certificate made and signed', count: 1, once: certificate() },
    { name: 'receipt or checkpoint signed', count: 4, once: signature() },
    { name: 'durable commit (decided, issuing, live)', count: 3, once: await openDurableCommit() },
  ];
}

function signatureCheck({ method, url, headers, body }: Sent, device: TestDevice): () => void {
  const bytes = Buffer.from(body ?? '');
  const nowMs = Date.now();
  const publicKey = parsePublicKey(device.signingKey);
  return () =>
    verifySignature({
      method,
      authority: url.host,
      path: url.pathname,
      query: '',
      headers,
      body: bytes,
      parsed: parseSignature(headers),
      publicKey,
      tag: REQUEST_TAG,
      nowMs,
    });
}

function decision(): () => unknown {
  const { catalogue } = parseCatalogue(benchCatalogue(), 'catalogue.yaml', '/');
  const [resource] = HOSTS;
  if (!catalogue || !resource) throw new Error('the catalogue of the bench is not valid');
  const policy: Policy = load(STARTER_POLICY, catalogue);
  const asked = question({
    user: TYPIST,
    target: { resource, role: 'operator' },
    facts: { shift: shift(), incident: incident() },
  });
  if (policy.decideAccess(asked).effect !== 'grant') throw new Error('the starter policy does not grant');
  return () => policy.decideAccess(asked);
}

function certificate(): () => unknown {
  const ca = generateKeyPairSync('ed25519');
  const subject = generateKeyPairSync('ed25519');
  const [caPublicKey, subjectPublicKey] = [
    sshPublicKeyBlob(ca.publicKey),
    sshPublicKeyBlob(subject.publicKey),
  ];
  return () =>
    encodeCertificate({
      subjectPublicKey,
      serial: 4711n,
      type: 'user',
      keyId: 'engineer-1/gr_1/P1-1',
      principals: ['oncall:host-1:operator'],
      validAfterSeconds: 1_800_000_000,
      validBeforeSeconds: 1_800_000_300,
      criticalOptions: {},
      extensions: ['permit-pty'],
      caPublicKey,
      sign: (bytes) => sign(null, bytes, ca.privateKey),
    });
}

function signature(): () => unknown {
  const { privateKey } = generateKeyPairSync('ed25519');
  const message = randomBytes(200);
  return () => sign(null, message, privateKey);
}
