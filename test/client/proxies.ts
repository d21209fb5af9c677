// Proxies as engineers meet them: one that lets through what it is asked for, and one that looks inside.
import { createServer, type Server } from 'node:http';
import { request as ask, createServer as createTlsServer } from 'node:https';
import { type AddressInfo, connect, type createServer as createTcpServer, type Socket } from 'node:net';
import { atEnd } from '../support/at-end.ts';

async function listen(server: Server | ReturnType<typeof createTcpServer>): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket));
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

export async function startConnectProxy({ user, refuse }: { user?: string; refuse?: number }) {
  const asked: string[] = [];
  const server = createServer((_, response) => response.writeHead(400).end());
  server.on('connect', (request, socket: Socket) => {
    const wanted = user === undefined ? undefined : `Basic ${Buffer.from(user).toString('base64')}`;
    if (wanted !== undefined && request.headers['proxy-authorization'] !== wanted) {
      return socket.end('HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n');
    }
    if (refuse !== undefined) return socket.end(`HTTP/1.1 ${refuse} Forbidden\r\ncontent-length: 0\r\n\r\n`);
    asked.push(request.url ?? '');
    const [host = '', port = ''] = (request.url ?? '').split(':');
    const upstream = connect(Number(port), host, () => {
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.pipe(socket).pipe(upstream);
    });
    for (const end of [socket, upstream]) end.on('error', () => upstream.destroy());
  });
  return { port: await listen(server), asked };
}

/** A proxy that answers CONNECT itself, with a certificate of its own, and passes on what it read. */
export async function startInterceptingProxy(
  leaf: { key: string; cert: string },
  broker: string,
  ca: string,
) {
  const inner = createTlsServer(leaf, (request, response) => {
    const onward = ask(new URL(request.url ?? '/', broker), {
      ca,
      method: request.method,
      headers: request.headers,
      agent: false,
    });
    onward.on('response', (reply) => {
      response.writeHead(reply.statusCode ?? 500, reply.headers);
      reply.pipe(response);
    });
    request.pipe(onward);
  });
  const outer = createServer();
  outer.on('connect', (_, socket: Socket) => {
    socket.write('HTTP/1.1 200 Connection established\r\n\r\n');
    inner.emit('connection', socket);
    socket.on('error', () => {});
  });
  return listen(outer);
}
