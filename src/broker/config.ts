/** broker.yaml: where this broker listens, what it is called, where it keeps things. Strict: unknown keys are refused. */
import { isIP } from 'node:net';
import { isAbsolute, join } from 'node:path';
import { readFields } from '../catalogue/fields.ts';
import { quote, Reader } from '../catalogue/read.ts';
import type { Finding, SecretRef } from '../catalogue/types.ts';
import { isLoopback } from '../protocol/loopback.ts';

export interface BrokerConfig {
  /** What clients call it and the only authority that signatures may name. */
  publicUrl: URL;
  /** Where each broker of the installation is reached directly, for clients to choose; empty where there is but one. */
  endpoints: readonly string[];
  listen: { host: string; port: number };
  /** Plain HTTP is for loopback only. */
  tls: boolean;
  store: { kind: 'sqlite'; file: string } | { kind: 'postgres'; url: SecretRef };
  /** The audit log's name in checkpoints and receipts. Never changes. */
  origin: string;
  keysDirectory: string;
  catalogueFile: string;
  policiesDirectory: string;
  limits: { requestsPerSecond: number; maxConnections: number };
  /** Addresses and networks (CIDR) of proxies whose X-Forwarded-For is believed. */
  trustedProxies: readonly string[];
  logLevel: 'debug' | 'info' | 'warn' | 'error';
}

const TOP = [
  'publicUrl',
  'endpoints',
  'listen',
  'tls',
  'store',
  'origin',
  'keys',
  'catalogue',
  'policies',
  'limits',
  'trustedProxies',
  'logLevel',
];

export function parseBrokerConfig(
  text: string,
  file: string,
  directory: string,
): { config: BrokerConfig | undefined; findings: readonly Finding[] } {
  const reader = new Reader(text, file);
  const root = reader.root && readFields(reader, reader.root, 'broker.yaml', TOP);
  if (!root) {
    const empty: Finding = {
      severity: 'error',
      file,
      line: 1,
      column: 1,
      message: 'the file is empty',
      hint: 'oncall broker init',
    };
    return { config: undefined, findings: reader.findings.length > 0 ? reader.findings : [empty] };
  }
  const inside = (path: string) => (isAbsolute(path) ? path : join(directory, path));

  const publicUrl = root.requiredMatching(
    'publicUrl',
    isBase,
    'an https:// address (http:// only on loopback)',
  );
  const endpoints = root.texts('endpoints').map(({ value, node }) => {
    const isReached =
      isBase(value) && new URL(value).protocol === new URL(publicUrl?.value ?? value).protocol;
    if (!isReached)
      reader.error(node, `${quote(value)} is no address like publicUrl`, 'https://broker-1:7443/');
    return isReached ? new URL(value).href : value;
  });
  const listen = root.requiredMatching('listen', (text) => splitListen(text) !== undefined, 'host:port');
  const tls = root.optional('tls', (node, path) => reader.boolean(node, path))?.value ?? true;
  const origin = root.requiredMatching(
    'origin',
    (text) => /^[a-z0-9][a-z0-9./:-]{0,127}$/.test(text),
    'a name without spaces',
  );
  const address = listen && splitListen(listen.value);
  if (listen && address && !tls && !isLoopback(address.host)) {
    reader.error(listen.node, 'without TLS the broker listens on loopback only', 'tls: true');
  }
  if (publicUrl && !tls && publicUrl.value.startsWith('https:')) {
    reader.warn(
      publicUrl.node,
      'publicUrl says https, and tls is off: something in front must terminate TLS',
    );
  }

  const store = readStore();
  const limits = root.optional('limits', (node, path) => {
    const fields = readFields(reader, node, path, ['requestsPerSecond', 'maxConnections']);
    return {
      requestsPerSecond: fields?.integer('requestsPerSecond', 1, 1_000_000)?.value ?? 200,
      maxConnections: fields?.integer('maxConnections', 1, 1_000_000)?.value ?? 2000,
    };
  })?.value ?? { requestsPerSecond: 200, maxConnections: 2000 };
  const trustedProxies = root.texts('trustedProxies').map(({ value, node }) => {
    if (!isNetwork(value)) reader.error(node, `${quote(value)} is no network`, 'write it as 10.0.0.0/24');
    return value;
  });
  const logLevel = root.choice('logLevel', ['debug', 'info', 'warn', 'error'])?.value ?? 'info';

  if (
    reader.findings.some(({ severity }) => severity === 'error') ||
    !publicUrl ||
    !address ||
    !origin ||
    !store
  ) {
    return { config: undefined, findings: reader.findings };
  }
  return {
    config: {
      publicUrl: new URL(publicUrl.value),
      endpoints,
      listen: address,
      tls,
      store,
      origin: origin.value,
      keysDirectory: inside(root.text('keys')?.value ?? 'keys'),
      catalogueFile: inside(root.text('catalogue')?.value ?? 'catalogue.yaml'),
      policiesDirectory: inside(root.text('policies')?.value ?? 'policies'),
      limits,
      trustedProxies,
      logLevel,
    },
    findings: reader.findings,
  };

  function readStore(): BrokerConfig['store'] | undefined {
    return root?.required('store', (node, path) => {
      const fields = readFields(reader, node, path, ['sqlite', 'postgres']);
      const sqlite = fields?.text('sqlite');
      const postgres = fields?.optional('postgres', (inner, innerPath) => {
        const secret = readFields(reader, inner, innerPath, ['file', 'env']);
        const from = secret?.text('file') ?? undefined;
        const env = secret?.text('env') ?? undefined;
        if (from && !env) return { file: inside(from.value) };
        if (env && !from) return { env: env.value };
        return reader.error(
          inner,
          `${innerPath} must say where the connection URL is`,
          '{ file: … } or { env: … }',
        );
      });
      if (fields && Boolean(sqlite) === Boolean(postgres)) {
        return reader.error(node, 'store is either sqlite or postgres', 'store: { sqlite: oncall.db }');
      }
      if (sqlite) return { kind: 'sqlite' as const, file: inside(sqlite.value) };
      return postgres && { kind: 'postgres' as const, url: postgres.value };
    })?.value;
  }
}

function isBase(text: string): boolean {
  try {
    const url = new URL(text);
    const plain = url.protocol === 'http:' && isLoopback(url.hostname);
    return (
      (url.protocol === 'https:' || plain) &&
      url.search === '' &&
      url.hash === '' &&
      url.username === '' &&
      url.pathname === '/'
    );
  } catch {
    return false;
  }
}

/** An address or CIDR. Never everybody: then each client would choose its own address. */
function isNetwork(text: string): boolean {
  const [, address = '', prefix] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? [];
  const family = isIP(address);
  if (prefix === undefined || family === 0) return family !== 0;
  return Number(prefix) >= 1 && Number(prefix) <= (family === 4 ? 32 : 128);
}

function splitListen(text: string): { host: string; port: number } | undefined {
  const [, bracketed, plain, port = ''] =
    /^(?:\[([0-9a-fA-F:]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  return host !== undefined && Number(port) <= 65_535 ? { host, port: Number(port) } : undefined;
}
