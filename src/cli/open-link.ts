/**
 * Opens a browser at a link that is a secret. Arguments of processes are there for everybody on the machine to see, so the
 * browser is sent to a page of ours on loopback, which leads on to the link: once, to whoever has its random path.
 */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { platform } from 'node:os';
import type { Environment } from './io.ts';
import { orInterrupted } from './waiting.ts';

/** For as long the browser may take to come. */
const WAIT_MS = 30_000;

/** False where there is no browser, or none came for the link. Rejects with the reason of `signal`. */
export async function openLink(link: string, env: Environment, signal: AbortSignal): Promise<boolean> {
  const opener = openerOf(env);
  if (opener === undefined) return false;
  const path = `/${randomBytes(16).toString('base64url')}`;
  const server = createServer();
  try {
    const fetched = leadOn(server, path, link);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const failed = start(opener, `http://127.0.0.1:${port}${path}`, env);
    const late = new Promise<boolean>((resolve) => void setTimeout(resolve, WAIT_MS, false).unref());
    return await orInterrupted(signal, Promise.race([fetched, failed, late]));
  } finally {
    server.close();
    server.closeAllConnections();
  }
}

/** True once the page was fetched; it is there for one. */
function leadOn(server: Server, path: string, link: string): Promise<boolean> {
  return new Promise((resolve) => {
    let isGiven = false;
    server.on('request', ({ method, url }, response) => {
      response.setHeader('cache-control', 'no-store').setHeader('referrer-policy', 'no-referrer');
      if (isGiven || method !== 'GET' || url !== path) return response.writeHead(404).end();
      isGiven = true;
      response.writeHead(302, { location: link }).end(() => resolve(true));
    });
  });
}

/** False once it is known that nothing was opened. */
function start(
  [program, ...args]: readonly [string, ...string[]],
  address: string,
  env: Environment,
): Promise<boolean> {
  const child = spawn(program, [...args, address], { env: { ...env }, stdio: 'ignore' });
  child.unref();
  return new Promise((resolve) => {
    child.once('error', () => resolve(false));
    child.once('exit', (code) => {
      if (code !== 0) resolve(false);
    });
  });
}

function openerOf(env: Environment): readonly [string, ...string[]] | undefined {
  switch (platform()) {
    case 'darwin':
      return ['open'];
    case 'win32':
      return ['rundll32', 'url.dll,FileProtocolHandler'];
    default:
      // Without a screen it would start a browser in this terminal.
      return env.DISPLAY || env.WAYLAND_DISPLAY ? ['xdg-open'] : undefined;
  }
}
