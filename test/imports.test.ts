// Reads every import under src/ and keeps the table of modules true: who may import whom, where each third-party package
// stays, and that only the edges of the program touch `process`.
import { readdirSync, readFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { join, posix } from 'node:path';
import { describe, expect, test } from 'vitest';

/** What a folder of src/ may import of ours, besides itself. */
const MODULES: Readonly<Record<string, readonly string[]>> = {
  'fast.ts': ['cli', 'agent', 'protocol'],
  'main.ts': ['cli', 'client', 'protocol'],
  protocol: [],
  catalogue: ['protocol'],
  policy: ['protocol', 'catalogue'],
  issuers: ['protocol', 'catalogue'],
  sources: ['protocol', 'catalogue'],
  notify: ['protocol', 'catalogue'],
  trust: ['protocol', 'catalogue'],
  audit: ['protocol'],
  'break-glass': ['protocol', 'audit'],
  store: ['protocol', 'audit'],
  client: ['protocol', 'audit', 'break-glass'],
  agent: ['client', 'break-glass', 'protocol'],
  broker: [
    ...['protocol', 'catalogue', 'policy', 'sources', 'trust', 'notify', 'issuers', 'audit'],
    ...['break-glass', 'store'],
  ],
  host: ['protocol', 'client'],
  cli: ['client', 'agent', 'host', 'break-glass', 'protocol', 'policy', 'audit', 'catalogue'],
};

/** Where the broker's commands are, which alone reach the broker, and only by dynamic import (or for types). */
const BROKER_COMMANDS = /^cli\/commands\/broker[-./]/;

/** Parts of the broker that stand on the rest of it: whoever puts it together may know them, and nobody else. */
const UPPER_FLOORS = ['broker/http', 'broker/incidents'];
const COMPOSITION = ['broker/broker.ts', 'broker/compose.ts', 'broker/modules.ts'];

/** Where each third-party package may be imported; one that is not here has no place yet. */
const PACKAGES: Readonly<Record<string, RegExp>> = {
  commander: /^cli\//,
  inquirer: /^cli\//,
  ora: /^cli\//,
  chalk: /^cli\//,
  '@napi-rs/keyring': /^client\/keychain-child\.ts$/,
  'fs-native-extensions': /^(client|broker)\/lock\.ts$/,
  'https-proxy-agent': /^client\//,
  kysely: /^store\//,
  libsql: /^store\//,
  pg: /^(store\/|issuers\/postgres[^/]*\.ts$)/,
  mysql2: /^issuers\/mariadb[^/]*\.ts$/,
  '@redis/client': /^issuers\/redis[^/]*\.ts$/,
  '@cedar-policy/cedar-wasm': /^policy\//,
  fastify: /^broker\//,
  pino: /^broker\//,
  'prom-client': /^broker\//,
  '@aws-sdk/client-iam': /^issuers\/aws-sdk\.ts$/,
  '@aws-sdk/client-sts': /^issuers\/aws-sdk\.ts$/,
  undici: /^(broker|sources|notify|issuers)\//,
  luxon: /^(catalogue|sources)\//,
  'ical.js': /^sources\/ical\.ts$/,
  nodemailer: /^notify\/email\.ts$/,
  yaml: /^(catalogue\/|client\/config\.ts$|broker\/config\.ts$)/,
  '@hpke/core': /^protocol\/seal\.ts$/,
  jose: /^issuers\/http-token\.ts$/,
  '@peculiar/x509': /^(broker|issuers)\//,
  'reflect-metadata': /^(broker|issuers)\//,
  '@sinclair/typebox': /^((protocol|broker)\/|cli\/(outputs|help-json)\.ts$)/,
};

const TOUCHES_PROCESS = new Set([
  'fast.ts',
  'main.ts',
  'cli/io.ts',
  'agent/main.ts',
  'client/keychain-child.ts',
  'host/processes.ts',
]);

interface Import {
  from: string;
  kind: 'static' | 'type' | 'dynamic';
}

/** All imports of a source text: static, re-exports, type-only, dynamic, `import('x').T` and `require`. */
function readImports(source: string): Import[] {
  const code = withoutComments(source);
  const statements = code.matchAll(
    /^\s*(?:import|export)\b(\s+type\b)?(?:[^'";]*?\bfrom)?\s*['"]([^'"]+)['"]/gm,
  );
  const calls = code.matchAll(/\b(?:import|require(?:\.resolve)?)\(\s*['"]([^'"]+)['"]/g);
  return [
    ...[...statements].map(([, type, from]): Import => ({ from: from!, kind: type ? 'type' : 'static' })),
    ...[...calls].map(([, from]): Import => ({ from: from!, kind: 'dynamic' })),
  ];
}

function withoutComments(source: string): string {
  return source.replace(/^\s*\/?\*.*$/gm, '').replace(/(^|\s)\/\/.*$/gm, '$1');
}

/** What is wrong with the imports of a file, given by its path under src/. */
function findImportFaults(file: string, source: string): string[] {
  const home = folderOf(file);
  return readImports(source).flatMap(({ from, kind }) => {
    const fault = `${file} imports ${from}`;
    if (isBuiltin(from)) return from.replace('node:', '') === 'process' ? [fault] : [];
    if (!from.startsWith('.')) return PACKAGES[packageOf(from)]?.test(file) ? [] : [fault];
    const target = posix.normalize(posix.join(posix.dirname(file), from));
    const folder = folderOf(target);
    const floor = UPPER_FLOORS.find((upper) => target.startsWith(`${upper}/`));
    if (floor && !file.startsWith(`${floor}/`) && !COMPOSITION.includes(file)) return [fault];
    if (folder === home || MODULES[home]?.includes(folder)) return [];
    if (folder === 'broker' && BROKER_COMMANDS.test(file) && kind !== 'static') return [];
    return [fault];
  });
}

function touchesProcess(source: string): boolean {
  return /(?<![\w.'"`$-])process\s*\??[.[]|\bglobalThis\.process\b/.test(withoutComments(source));
}

function folderOf(file: string): string {
  return file.split('/')[0]!;
}

function packageOf(specifier: string): string {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

const files = readdirSync('src', { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
  .map((file) => ({ file, source: readFileSync(join('src', file), 'utf8') }));

describe('the sources', () => {
  test('lie in folders that the table of modules names', () => {
    expect(files.map(({ file }) => folderOf(file)).filter((folder) => !(folder in MODULES))).toEqual([]);
  });

  test('import what their folder may, and each third-party package from its own place', () => {
    expect(files.flatMap(({ file, source }) => findImportFaults(file, source))).toEqual([]);
  });

  test('import by names that can be read', () => {
    const computed = files.filter(({ source }) =>
      /\b(import|require)\(\s*[^'"\s)]/.test(withoutComments(source)),
    );
    expect(computed.map(({ file }) => file)).toEqual([]);
  });

  test('touch process at the edges alone', () => {
    const touching = files.filter(({ file, source }) => !TOUCHES_PROCESS.has(file) && touchesProcess(source));
    expect(touching.map(({ file }) => file)).toEqual([]);
  });
});

describe('the reader of imports', () => {
  test('sees every form', () => {
    const source = `
      import './a.ts';
      import b from './b.ts';
      import type { C } from './c.ts';
      import {
        d,
        type D,
      } from "./d.ts";
      export * from './e.ts';
      export type { F } from './f.ts';
      const g = await import('./g.ts');
      type H = import('./h.ts').H;
      const i = require('./i.ts');
      // import './comment.ts';
      export const name = 'not an import';
    `;
    expect(readImports(source)).toEqual([
      { from: './a.ts', kind: 'static' },
      { from: './b.ts', kind: 'static' },
      { from: './c.ts', kind: 'type' },
      { from: './d.ts', kind: 'static' },
      { from: './e.ts', kind: 'static' },
      { from: './f.ts', kind: 'type' },
      { from: './g.ts', kind: 'dynamic' },
      { from: './h.ts', kind: 'dynamic' },
      { from: './i.ts', kind: 'dynamic' },
    ]);
  });

  test.each([
    ['protocol/x.ts', "import { a } from '../store/store.ts';"],
    ['protocol/x.ts', "import type { A } from '../audit/entry.ts';"],
    ['client/x.ts', "const broker = await import('../broker/server.ts');"],
    ['cli/commands/request.ts', "const broker = await import('../../broker/server.ts');"],
    ['cli/commands/broker-serve.ts', "import { serve } from '../../broker/server.ts';"],
    ['broker/x.ts', "import { Command } from 'commander';"],
    ['client/config.ts', "import keyring from '@napi-rs/keyring';"],
    ['issuers/ssh.ts', "import pg from 'pg';"],
    ['policy/x.ts', "import { parse } from 'yaml';"],
    ['policy/x.ts', "import left from 'left-pad';"],
    ['client/x.ts', "import process from 'node:process';"],
    ['broker/grants.ts', "import { registerRoutes } from './http/routes.ts';"],
    ['broker/http/routes.ts', "import { createPolling } from '../incidents/polling.ts';"],
  ])('finds the fault of %s: %s', (file, source) => {
    expect(findImportFaults(file, source)).toHaveLength(1);
  });

  test.each([
    ['cli/commands/broker-serve.ts', "const broker = await import('../../broker/server.ts');"],
    ['issuers/postgres-roles.ts', "import pg from 'pg';"],
    ['policy/x.ts', "import cedar from '@cedar-policy/cedar-wasm/nodejs';"],
    ['store/x.ts', "import { hash } from 'node:crypto'; "],
  ])('finds none in %s: %s', (file, source) => {
    expect(findImportFaults(file, source)).toEqual([]);
  });

  test('tells the process from what is only called so', () => {
    expect(touchesProcess('const home = process.env.HOME;')).toBe(true);
    expect(touchesProcess("const home = process['env'];")).toBe(true);
    expect(touchesProcess('globalThis.process')).toBe(true);
    expect(touchesProcess("const metric = 'process.cpu'; child_process.spawn(); // process.env")).toBe(false);
  });
});
