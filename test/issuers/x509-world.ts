// A service behind a real nginx that asks for client certificates: brought in by what the guide says, to the letter (its folders
// moved), with the real script pulling the list from a broker that stands here.
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { get } from 'node:https';
import { join } from 'node:path';
import type { SecureContextOptions } from 'node:tls';
import type { Resource, X509Settings } from '../../src/catalogue/types.ts';
import type { Issued, TargetGuide } from '../../src/issuers/issuer.ts';
import type { Revocations } from '../../src/issuers/revocations.ts';
import { createX509Issuer, type X509IssuerOptions } from '../../src/issuers/x509.ts';
import { createX509Ca, type X509Ca } from '../../src/issuers/x509-ca.ts';
import { probeX509 } from '../../src/issuers/x509-probe.ts';
import { atEnd } from '../support/at-end.ts';
import { startNginx, type TestNginx } from '../support/nginx.ts';
import { startProcess } from '../support/process.ts';
import { freePort, tempDir } from '../support/temp.ts';
import type { Device, World } from './contract.ts';

export interface X509World extends World {
  ca: X509Ca;
  nginx: TestNginx;
  host: PulledHost;
  settings: X509Settings;
  revocations: TestRevocations;
  options: X509IssuerOptions;
  createDevice(): X509Device;
}

export interface X509Device extends Device {
  /** GET as any client of the service would; undefined where no answer came. */
  visit(issued: Issued, options?: VisitOptions): Promise<{ status: number; body: string } | undefined>;
}

export interface VisitOptions extends Pick<SecureContextOptions, 'minVersion' | 'maxVersion'> {
  /** A TLS session to take up again. */
  session?: Buffer;
  /** Hears of those that could be. */
  onSession?: (session: Buffer) => void;
}

export interface TestRevocations extends Revocations {
  number: number;
  entries: { serial: string; expiresAt: number }[];
  /** Whether the host pulls the list at once; true at first. */
  published: boolean;
}

/** What the broker at the list's address answers: a list, or nothing good. */
export interface ListServer {
  url: string;
  served: Uint8Array | undefined;
  cutShort: boolean;
}

export interface PulledHost {
  root: string;
  file(name: string): string;
  /** One run of the script that the timer would make. */
  pull(): Promise<{ code: number | null; stderr: string }>;
  lists(serial: string): boolean;
}

export const ROLES = { read: 'web/read', write: 'Web Admins: write' };

export function createCa(listUrl = 'http://127.0.0.1:1/v1/crl/x509'): Promise<X509Ca> {
  return createX509Ca(generateKeyPairSync('ed25519').privateKey, listUrl);
}

export async function startListServer(): Promise<ListServer> {
  const port = await freePort();
  const state: ListServer = {
    url: `http://127.0.0.1:${port}/v1/crl/x509`,
    served: undefined,
    cutShort: false,
  };
  const server = createServer((request, response) => {
    const { served } = state;
    if (!served || request.url !== '/v1/crl/x509') {
      response.writeHead(500).end('oops');
      return;
    }
    response.writeHead(200, { 'content-length': served.length });
    if (!state.cutShort) response.end(served);
    else response.write(served.subarray(0, 40), () => response.destroy());
  }).listen(port, '127.0.0.1');
  atEnd(() => new Promise<void>((resolve) => void server.close(() => resolve())));
  return state;
}

const FOLDERS = ['/etc/oncall-x509', '/usr/local/sbin', '/etc/systemd/system', '/etc/nginx/conf.d'];

/** Does what the guide says up to the server block, in a root of its own. `reload`: the command in systemctl's place. */
export async function followGuide(
  { steps }: TargetGuide,
  resource: string,
  reload: string,
): Promise<PulledHost & { server: string; http: string }> {
  const root = tempDir({ mode: 0o755 });
  for (const folder of FOLDERS) mkdirSync(join(root, folder), { recursive: true });
  const moved = (text: string) =>
    FOLDERS.reduce((all, folder) => all.replaceAll(folder, join(root, folder)), text).replaceAll(
      'systemctl try-reload-or-restart nginx',
      reload,
    );
  const shells = steps.filter(({ where }) => where.startsWith('a root shell'));
  for (const { text } of shells) {
    const lines = moved(text)
      .split('\n')
      .filter((line) => !line.startsWith('systemctl '));
    // Not waited for in a way that would keep the broker here from answering.
    const shell = startProcess('sh', ['-eu'], { input: lines.join('\n') });
    const { code } = await shell.ended;
    if (code !== 0) throw new Error(`the guide failed: ${shell.stderr()}`);
  }
  const file = (name: string) => join(root, '/etc/oncall-x509', name);
  return {
    root,
    file,
    async pull() {
      const script = startProcess(join(root, '/usr/local/sbin/oncall-crl'), [], { input: '' });
      const { code } = await script.ended;
      return { code, stderr: script.stderr() };
    },
    lists: (serial) =>
      execFileSync('openssl', ['crl', '-in', file('crl.pem'), '-noout', '-text'], {
        encoding: 'utf8',
      }).includes(`Serial Number: ${serial}\n`),
    server: moved(steps.find(({ where }) => where.startsWith('the server block'))?.text ?? ''),
    http: readFileSync(join(root, `/etc/nginx/conf.d/oncall-${resource}.conf`), 'utf8'),
  };
}

export async function startX509World(
  change: Partial<X509IssuerOptions> = {},
  edit: (serverLines: string) => string = (lines) => lines,
): Promise<X509World> {
  const broker = await startListServer();
  const ca = await createCa(broker.url);
  const publish = () => {
    const serials = revocations.entries.map(({ serial }) => serial);
    broker.served = ca.createCrl({ number: revocations.number, serials, nowMs: Date.now() });
  };
  let host: PulledHost | undefined;
  let pulling = Promise.resolve();
  const revocations: TestRevocations = {
    number: 1,
    entries: [],
    published: true,
    async revoke({ serial, expiresAtMs }) {
      if (revocations.entries.every((entry) => entry.serial !== serial)) {
        revocations.entries.push({ serial, expiresAt: expiresAtMs });
        revocations.number += 1;
      }
      if (!revocations.published) return revocations.number;
      // As the timer would: one run at a time.
      pulling = pulling.then(async () => {
        publish();
        const pulled = await host?.pull();
        if (pulled?.code !== 0) throw new Error(`the host has not pulled: ${pulled?.stderr}`);
      });
      await pulling;
      return revocations.number;
    },
  };
  publish();
  let caFile = '';
  const options: X509IssuerOptions = {
    ca,
    revocations,
    probe: probeX509,
    readCa: async () => readFileSync(caFile, 'utf8'),
    listUrl: broker.url,
    revocationWaitMs: 5_000,
    now: Date.now,
    ...change,
  };
  const issuer = createX509Issuer(options);
  // nginx must run before it can be told to reload: the port in the guide's words does not matter.
  const reloadLink = join(tempDir(), 'reload');
  writeFileSync(reloadLink, '#!/bin/sh\n', { mode: 0o755 });
  const settings = settingsFor('https://localhost:1/');
  const prepared = await followGuide(issuer.guide(x509Resource(settings)), 'web', reloadLink);
  host = prepared;
  const nginx = await startNginx({
    http: prepared.http,
    server: `${edit(prepared.server)}\nlocation / { default_type text/plain; return 200 "$oncall_web $ssl_client_s_dn"; }`,
  });
  writeFileSync(reloadLink, `#!/bin/sh\nexec ${nginx.reloadCommand}\n`, { mode: 0o755 });
  caFile = nginx.caFile;
  const served = settingsFor(nginx.url);
  return {
    issuer,
    options,
    ca,
    nginx,
    host,
    revocations,
    settings: served,
    resource: x509Resource(served),
    role: 'read',
    createDevice,
  };
}

function settingsFor(url: string): X509Settings {
  const roles = Object.entries(ROLES).map(
    ([name, unit]) => [name, { unit, description: undefined }] as const,
  );
  return { kind: 'x509', url, servers: [], caFile: 'ca.pem', roles: new Map(roles) };
}

export function x509Resource(target: X509Settings): Resource {
  return {
    id: 'web',
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

export function createDevice(): X509Device {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const key = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
  const device: X509Device = {
    material: {
      kind: 'x509',
      publicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    },
    visit: ({ publicPart }, options = {}) => {
      if (publicPart.kind !== 'x509') throw new Error('not a certificate');
      return fetchWith(publicPart.url, publicPart.caPem, {
        ...options,
        cert: publicPart.certificate,
        key,
      });
    },
    login: async (issued) => (await device.visit(issued))?.status === 200,
  };
  return device;
}

function fetchWith(
  url: string,
  ca: string | undefined,
  { onSession, ...login }: VisitOptions & { cert: string; key: string },
): Promise<{ status: number; body: string } | undefined> {
  return new Promise((resolve) => {
    const request = get(url, { ...login, ...(ca !== undefined && { ca }), agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        body += text;
      });
      response.once('end', () => resolve({ status: response.statusCode ?? 0, body }));
    });
    request.once('socket', (socket) => socket.on('session', (session: Buffer) => onSession?.(session)));
    request.once('error', () => resolve(undefined));
  });
}
