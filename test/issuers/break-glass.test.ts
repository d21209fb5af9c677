// Break-glass at targets that cannot be had here: what is said of them, and what the check makes of an API server that takes client
// certificates as the documents say.
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { beforeAll, describe, expect, it } from 'vitest';
import { brokerTarget } from '../../src/broker/commands.ts';
import type { Resource } from '../../src/catalogue/types.ts';
import { createAwsBreakGlass } from '../../src/issuers/aws-break-glass.ts';
import type { BreakGlassCas } from '../../src/issuers/break-glass.ts';
import { createKubernetesBreakGlass } from '../../src/issuers/kubernetes-break-glass.ts';
import { createX509Ca } from '../../src/issuers/x509-ca.ts';
import { BREAK_GLASS_POLICY, host } from '../broker/break-glass-world.ts';
import { parse } from '../catalogue/edited.ts';
import { atEnd } from '../support/at-end.ts';
import { install, PEOPLE } from '../support/installation.ts';
import { makeServerCertificate } from '../support/server-certificate.ts';

const LIST = 'https://broker.example/v1/crl/break-glass';
const signal = new AbortController().signal;
let cas: BreakGlassCas;
beforeAll(async () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  cas = {
    ssh: { publicKey: Buffer.alloc(0), sign: () => Buffer.alloc(0) },
    x509: await createX509Ca(privateKey, LIST, 'break-glass'),
  };
});

function resourceOf(lines: string): { resource: Resource; errors: string[] } {
  const { catalogue, findings } = parse(`
services: { orders: { schedules: [] } }
resources:
  it:
    service: orders
    environment: production
    sensitivity: high
${lines.replace(/^/gm, '    ')}
`);
  const errors = findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
  return { resource: catalogue?.resources.get('it') as Resource, errors };
}

describe('an AWS account', () => {
  const ANYWHERE = (kind: string) =>
    `arn:aws:rolesanywhere:eu-west-1:123456789012:${kind}/0f5e5a1c-0000-4000-8000-000000000001`;
  const lines = (more: string) => `type: aws
region: eu-west-1
breakGlass: {}
roles: { read: { arn: "arn:aws:iam::123456789012:role/oncall-read", allow: ["rds:Describe*"]${more} } }`;
  const set = lines(
    `, rolesAnywhere: { trustAnchor: "${ANYWHERE('trust-anchor')}", profile: "${ANYWHERE('profile')}" }`,
  );

  it('has a place where the catalogue says which anchor and profile, and a hint where it does not', async () => {
    const issuer = createAwsBreakGlass({ cas, listUrl: LIST });
    expect(await issuer.placeOf(resourceOf(set).resource, 'read')).toEqual({
      kind: 'aws',
      region: 'eu-west-1',
      role: 'arn:aws:iam::123456789012:role/oncall-read',
      trustAnchor: ANYWHERE('trust-anchor'),
      profile: ANYWHERE('profile'),
    });
    const { resource } = resourceOf(lines(''));
    await expect(issuer.placeOf(resource, 'read')).rejects.toMatchObject({ code: 'target_refused' });
    expect(await issuer.check(resource, signal)).toMatchObject([
      { ok: false, fix: expect.stringContaining('rolesAnywhere') },
    ]);
  });

  it('takes no other ARN for one', () => {
    for (const wrong of [ANYWHERE('profile'), 'arn:aws:iam::123456789012:role/x', "x'; rm"])
      expect(resourceOf(set.replace(ANYWHERE('trust-anchor'), wrong)).errors).toHaveLength(1);
  });

  it('lets in one name of the anchor, within what the role may, and the broker as before', () => {
    const steps = createAwsBreakGlass({ cas, listUrl: LIST }).steps(resourceOf(set).resource);
    const text = steps.map((step) => step.text).join('\n');
    const trust = JSON.parse(/<<'ONCALL'\n(\{\n[\s\S]*?)ONCALL/.exec(text)![1]!) as { Statement: object[] };
    expect(trust.Statement).toMatchObject([
      { Sid: 'OncallBroker' },
      {
        Principal: { Service: 'rolesanywhere.amazonaws.com' },
        Condition: { StringEquals: { 'aws:PrincipalTag/x509Subject/CN': 'breakglass-it-read' } },
      },
    ]);
    expect(text).toContain('"Action":["rds:Describe*"]');
    const anchor = JSON.parse(/<<'ONCALL'\n(\{"sourceType.*)\n/.exec(text)![1]!) as {
      sourceData: { x509CertificateData: string };
    };
    const certificate = new X509Certificate(anchor.sourceData.x509CertificateData);
    // What IAM Roles Anywhere demands of a trust anchor: RSA or ECDSA, and a CA.
    expect([certificate.publicKey.asymmetricKeyType, certificate.ca]).toEqual(['ec', true]);
  });
});

describe('a cluster', () => {
  /** Authentication by client certificate (Kubernetes documentation, "X.509 client certificates"), and SelfSubjectReview. */
  async function startApiServer(clientCas: string[], groups: string[] = []) {
    const { ca, certificate, key } = await makeServerCertificate();
    const options = { cert: certificate, key, ca: clientCas, requestCert: true, rejectUnauthorized: false };
    const server = createServer(options, (request, response) => {
      const socket = request.socket as TLSSocket;
      const isReview = request.url === '/apis/authentication.k8s.io/v1/selfsubjectreviews';
      if (!socket.authorized || request.method !== 'POST' || !isReview) {
        response.writeHead(401).end('{}');
        return;
      }
      const username = socket.getPeerCertificate().subject.CN;
      const userInfo = { username, groups: [...groups, 'system:authenticated'] };
      response.writeHead(201).end(JSON.stringify({ kind: 'SelfSubjectReview', status: { userInfo } }));
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    atEnd(() => new Promise<void>((resolve) => void server.close(() => resolve())));
    return { url: `https://localhost:${(server.address() as AddressInfo).port}`, ca };
  }

  const clusterAt = (url: string) =>
    resourceOf(`type: kubernetes
connection: { server: "${url}", ca: ca.pem }
broker: { token: { env: TOKEN } }
breakGlass: { roles: [read] }
roles: { read: { clusterRole: view, namespace: orders }, nodes: { clusterRole: nodes } }`).resource;

  async function checkAt(clientCas: (usual: string) => string[], groups?: string[]) {
    const x509Ca = await createX509Ca(generateKeyPairSync('ed25519').privateKey, LIST);
    const server = await startApiServer(clientCas(x509Ca.certificatePem), groups);
    const issuer = createKubernetesBreakGlass({ cas, x509Ca, readCa: async () => server.ca, now: Date.now });
    const found = await issuer.check(clusterAt(server.url), signal);
    return found.map(({ ok }) => ok);
  }

  it('passes the check where it takes the break-glass CA alone, and its user for no more than that', async () => {
    expect(await checkAt(() => [cas.x509.certificatePem])).toEqual([true, true, true, true]);
    expect(await checkAt(() => [])).toEqual([false, true, true, true]);
    expect(await checkAt((usual) => [cas.x509.certificatePem, usual])).toEqual([true, false, true, true]);
    expect(await checkAt(() => [cas.x509.certificatePem], ['system:masters'])).toEqual([
      false,
      true,
      true,
      true,
    ]);
  });

  it('is said to hold the CA to no names, and gets one binding a role', async () => {
    const x509Ca = await createX509Ca(generateKeyPairSync('ed25519').privateKey, LIST);
    const issuer = createKubernetesBreakGlass({ cas, x509Ca, readCa: async () => 'PEM', now: Date.now });
    const [trust, bindings] = issuer.steps(clusterAt('https://localhost:1'));
    expect(trust!.title).toContain('cannot hold to names');
    expect(bindings!.text.match(/^kind: /gm)).toHaveLength(1);
    expect(bindings!.text).toContain('"name":"breakglass-it-read"');
    expect(await issuer.placeOf(clusterAt('https://localhost:1'), 'read')).toEqual({
      ...{ kind: 'kubernetes', server: 'https://localhost:1', caPem: 'PEM', namespace: 'orders' },
    });
  });
});

describe('a target that no certificate logs in to', () => {
  it('says so in its guide and its check', async () => {
    const catalogue = `${PEOPLE}
resources:
  tool:
    type: http
    service: orders
    environment: production
    sensitivity: medium
    url: https://localhost:1/
    breakGlass: {}
    roles: { read: {} }
`;
    const { directory } = await install({ catalogue, policy: BREAK_GLASS_POLICY });
    const guide = (await brokerTarget({ directory, resource: 'tool', check: false }, host)).data as {
      steps: { title: string; text: string }[];
    };
    expect(guide.steps.at(-2)).toMatchObject({ text: expect.stringContaining('offline: false') });
    const check = await brokerTarget({ directory, resource: 'tool', check: true }, host);
    expect((check.data as { requirements: object[] }).requirements).toContainEqual(
      expect.objectContaining({ name: 'break-glass without the broker', ok: false }),
    );
  });
});
