// A tool behind a real nginx that asks about each request with auth_request, by what the guide says, to the letter. What it asks is
// the broker's own route, over a store of one table.
import { generateKeyPairSync } from 'node:crypto';
import { get } from 'node:https';
import fastify from 'fastify';
import { registerTokenRoutes } from '../../src/broker/http/routes-tokens.ts';
import type { CurrentRules } from '../../src/broker/rules.ts';
import type { HttpSettings, Resource } from '../../src/catalogue/types.ts';
import { createHttpIssuer, type HttpIssuerOptions } from '../../src/issuers/http.ts';
import { probeHttp } from '../../src/issuers/http-probe.ts';
import { type TokenKeys, tokenKey } from '../../src/issuers/http-token.ts';
import type { Issued, Issuer } from '../../src/issuers/issuer.ts';
import type { Store } from '../../src/store/store.ts';
import { atEnd } from '../support/at-end.ts';
import { startNginx, type TestNginx } from '../support/nginx.ts';
import { freePort } from '../support/temp.ts';
import type { Device, World } from './contract.ts';

export interface HttpWorld extends World {
  nginx: TestNginx;
  brokerUrl: string;
  settings: HttpSettings;
  options: HttpIssuerOptions;
  keys: { set: TokenKeys };
  /** What the broker has written down: by handle, whether the credential lives. */
  rows: Map<string, { state: string; expiresAt: number }>;
  createDevice(): HttpDevice;
  /** GET with this token, as any client would. */
  visit(token: string | undefined): Promise<{ status: number; body: string } | undefined>;
}

export interface HttpDevice extends Device {
  tokenOf(issued: Issued): string;
}

export function newTokenKey() {
  return tokenKey(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey);
}

export async function startHttpWorld(): Promise<HttpWorld> {
  const rows: HttpWorld['rows'] = new Map();
  const keys = { set: { current: newTokenKey(), others: [newTokenKey()] } };
  const resources = new Map<string, Resource>();
  const port = await freePort();
  const brokerUrl = `http://127.0.0.1:${port}/`;
  const store = {
    now: async () => Date.now(),
    read: (work: (tx: unknown) => unknown) =>
      work({
        credentials: async ({ handle }: { handle: string }) => [rows.get(handle)].filter((row) => row),
      }),
  } as unknown as Store;
  const app = fastify();
  registerTokenRoutes(app, {
    store,
    rules: (() => ({ catalogue: { resources } })) as unknown as CurrentRules,
    tokenKeys: { keys: () => keys.set, reload: async () => undefined },
    issuer: brokerUrl,
    onGood: () => undefined,
  });
  await app.listen({ host: '127.0.0.1', port });
  atEnd(() => app.close());

  let caPem = '';
  const options: HttpIssuerOptions = {
    keys: () => keys.set,
    publicUrl: brokerUrl,
    identityCertificate: undefined,
    probe: probeHttp,
    readCa: async () => caPem,
    now: Date.now,
  };
  const issuer = createHttpIssuer(options);
  const { steps } = issuer.guide(httpResource(settingsFor('https://localhost/')));
  const textFor = (where: string) => steps.find((step) => step.where.startsWith(where))?.text ?? '';
  // Behind nginx the tool, which answers with what it was told of its visitor.
  const nginx = await startNginx({
    server: `${textFor('the server block')}
location / {
${textFor('each location')}
  proxy_pass http://127.0.0.1:${await startTool()};
}`,
  });
  caPem = nginx.caPem;
  const settings = settingsFor(nginx.url);
  const resource = httpResource(settings);
  resources.set(resource.id, resource);

  const visit: HttpWorld['visit'] = (token) =>
    new Promise((resolve) => {
      const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
      const request = get(nginx.url, { headers, ca: caPem, agent: false }, (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
      });
      request.once('error', () => resolve(undefined));
    });
  return {
    issuer: recorded(issuer, rows),
    options,
    keys,
    rows,
    nginx,
    brokerUrl,
    settings,
    resource,
    role: 'read',
    visit,
    createDevice: () => ({
      material: { kind: 'http' },
      seal: async (secret) => Buffer.from(secret).toString('base64url'),
      tokenOf,
      login: async (issued) => (await visit(tokenOf(issued)))?.status === 200,
    }),
  };
}

/** The broker writes down that a credential is there before it exists, and that it ends before the issuer hears of it. */
function recorded(issuer: Issuer, rows: HttpWorld['rows']): Issuer {
  return {
    ...issuer,
    async issue(input) {
      rows.set(input.handle, { state: 'issuing', expiresAt: input.expiresAtMs });
      const issued = await issuer.issue(input);
      rows.set(input.handle, { state: 'live', expiresAt: issued.expiresAtMs });
      return issued;
    },
    async end(input) {
      const row = rows.get(input.handle) ?? { expiresAt: input.expiresAtMs };
      rows.set(input.handle, { ...row, state: 'ending' });
      return issuer.end(input);
    },
  };
}

function tokenOf({ publicPart }: Issued): string {
  if (publicPart.kind !== 'http') throw new Error('not a token');
  return Buffer.from(publicPart.sealedToken, 'base64url').toString();
}

async function startTool(): Promise<number> {
  const port = await freePort();
  const app = fastify();
  app.get('/', async ({ headers }) => ({
    user: headers['x-oncall-user'],
    role: headers['x-oncall-role'],
    grant: headers['x-oncall-grant'],
    incident: headers['x-oncall-incident'],
    authorization: headers.authorization ?? null,
  }));
  await app.listen({ host: '127.0.0.1', port });
  atEnd(() => app.close());
  return port;
}

export function settingsFor(url: string): HttpSettings {
  const roles = ['read', 'write'].map((name) => [name, { description: undefined }] as const);
  return { kind: 'http', url, audience: url, caFile: 'ca.pem', roles: new Map(roles) };
}

export function httpResource(target: HttpSettings): Resource {
  return {
    id: 'tool',
    description: undefined,
    service: 'web',
    environment: 'production',
    sensitivity: 'medium',
    defaultRole: 'read',
    roles: [...target.roles.keys()],
    session: { defaultSeconds: 7200, maxSeconds: 14_400, maxExtensions: 2 },
    credentialSeconds: 300,
    phase: 1,
    breakGlass: undefined,
    canary: false,
    target,
  };
}
