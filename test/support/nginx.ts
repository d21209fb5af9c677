// A real nginx of a test's own, in the foreground on a free loopback port, with a TLS certificate made for it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findCommand } from './machine-parts.ts';
import { requirePart } from './parts.ts';
import { startProcess, type TestProcess } from './process.ts';
import { makeServerCertificate } from './server-certificate.ts';
import { freePort, tempDir } from './temp.ts';

export interface NginxOptions {
  /** Lines of the one server. */
  server: string;
  /** Lines beside it, such as maps. */
  http?: string;
}

export interface TestNginx {
  port: number;
  url: string;
  /** The CA of its certificate, PEM. */
  caPem: string;
  caFile: string;
  /** PEM files of its own certificate. */
  certificateFile: string;
  keyFile: string;
  /** A command that does what `systemctl reload nginx` would, and waits until the old workers are gone. */
  reloadCommand: string;
  /** A line for each request. */
  accessLog(): string;
  stop(): Promise<void>;
  pause(): void;
  resume(): void;
}

const ATTEMPTS = 5;

export async function startNginx({ server, http = '' }: NginxOptions): Promise<TestNginx> {
  requirePart('nginx');
  const dir = tempDir({ mode: 0o755 });
  const program = findCommand('nginx') ?? 'nginx';
  const file = (name: string) => join(dir, name);
  const { ca, certificate, key } = await makeServerCertificate();
  writeFileSync(file('server.crt'), certificate);
  writeFileSync(file('server.key'), key, { mode: 0o600 });
  writeFileSync(file('ca.pem'), ca);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (name) => `  ${name}_temp_path ${file(name)};`,
  );
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const lines = [
      ...(process.getuid?.() === 0 ? ['user root;'] : []),
      'daemon off;',
      'worker_processes 1;',
      `pid ${file('pid')};`,
      'error_log stderr notice;',
      'events {}',
      'http {',
      `  access_log ${file('access.log')};`,
      ...temporary,
      http,
      '  server {',
      `    listen 127.0.0.1:${port} ssl;`,
      '    ssl_protocols TLSv1.2 TLSv1.3;',
      `    ssl_certificate ${file('server.crt')};`,
      `    ssl_certificate_key ${file('server.key')};`,
      server,
      '  }',
      '}',
    ];
    writeFileSync(file('nginx.conf'), `${lines.join('\n')}\n`);
    const reloadFile = file('reload');
    const nginx = startProcess(program, ['-p', dir, '-e', 'stderr', '-c', file('nginx.conf')], { input: '' });
    try {
      await nginx.waitForOutput('start worker process ');
    } catch (error) {
      // Between finding a free port and binding it another process can take it.
      if (attempt === ATTEMPTS || !nginx.output().includes('Address already in use')) throw error;
      await nginx.stop();
      continue;
    }
    writeFileSync(reloadFile, reloadScript(nginx), { mode: 0o755 });
    return {
      port,
      url: `https://localhost:${port}/`,
      caPem: ca,
      caFile: file('ca.pem'),
      certificateFile: file('server.crt'),
      keyFile: file('server.key'),
      reloadCommand: reloadFile,
      accessLog: () => readFileSync(file('access.log'), 'utf8'),
      stop: async () => void (await nginx.stop()),
      pause: () => nginx.pause(),
      resume: () => nginx.resume(),
    };
  }
}

/** The old workers take connections until the new ones are there: whoever reloads for a test waits for that. */
function reloadScript({ pid }: TestProcess): string {
  return `#!/bin/sh
old=$(cat /proc/${pid}/task/${pid}/children)
kill -HUP ${pid}
tries=0
for worker in $old; do
  while [ -e /proc/$worker/exe ] && [ $tries -lt 500 ]; do tries=$((tries + 1)); sleep 0.01; done
done
`;
}
