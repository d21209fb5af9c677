/**
 * The agent's socket. It is made under another name and moved into its place, so that whoever finds it finds somebody listening;
 * one that a killed agent left is replaced by that, for only the holder of the lock comes here. When it is gone, or is another's, so
 * is the folder that it was for, and the agent ends.
 */
import { chmodSync, lstatSync, renameSync, rmSync, watch } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { type Greeting, MAX_REQUEST_BYTES, readLine, writeLine } from '../client/agent-wire.ts';
import { parseStrictJson } from '../protocol/strict-json.ts';
import type { Answer } from './serve.ts';

const MOST_CONNECTIONS = 64;
/** To say what one wants, once greeted. A command that keeps a connection in reserve asks within this time. */
const REQUEST_MS = 10_000;
/** Longer than the longest call: somebody who takes so long to read what was asked for is not there. */
const SILENT_MS = 150_000;

export interface Listening {
  /** Commands that are being served. */
  readonly busy: number;
  /** Whether the socket is still ours to be found. */
  isInPlace(): boolean;
  /** Takes the socket away, and whoever is connected. */
  close(): void;
}

export interface ListenInput {
  readonly path: string;
  readonly greeting: () => Greeting;
  readonly answer: (request: unknown, signal: AbortSignal) => Promise<Answer>;
  /** The socket, or what it lies in, has been taken away or replaced. */
  readonly onGone: () => void;
}

export async function listenAt({ path, greeting, answer, onGone }: ListenInput): Promise<Listening> {
  const connections = new Set<Socket>();
  let busy = 0;

  async function talk(socket: Socket): Promise<void> {
    writeLine(socket, greeting());
    const line = await readLine(socket, { maxBytes: MAX_REQUEST_BYTES, timeoutMs: REQUEST_MS });
    if (line === undefined) return;
    const gone = new AbortController();
    socket.once('close', () => gone.abort());
    // Read on, or its end would go unnoticed.
    socket.resume();
    busy += 1;
    try {
      const answered = await answer(parseOrNothing(line), gone.signal);
      if ('chunks' in answered) await relay(socket, answered.chunks);
      else await written(socket, answered);
    } finally {
      busy -= 1;
    }
  }

  const server = createServer((socket) => {
    connections.add(socket);
    socket.on('error', () => {});
    socket.setTimeout(SILENT_MS, () => socket.destroy());
    socket.once('close', () => connections.delete(socket));
    talk(socket)
      .catch(() => {})
      .finally(() => socket.end(() => socket.destroy()));
  });
  server.maxConnections = MOST_CONNECTIONS;
  const own = await bind(server, path);
  const isInPlace = () => inodeOf(path) === own;
  const watcher = watch(dirname(path), { persistent: false }, () => {
    if (!isInPlace()) onGone();
  });
  watcher.on('error', onGone);
  return {
    get busy() {
      return busy;
    },
    isInPlace,
    close() {
      watcher.close();
      if (isInPlace()) rmSync(path, { force: true });
      server.close();
      for (const socket of connections) socket.destroy();
    },
  };
}

function inodeOf(path: string): number | undefined {
  try {
    return lstatSync(path).ino;
  } catch {
    // Gone, or something on the way to it has become what nothing lies in.
    return undefined;
  }
}

/** The inode of the socket, which is found at `path` from now on. */
async function bind(server: ReturnType<typeof createServer>, path: string): Promise<number> {
  // No longer than `agent.sock`, or it might not fit.
  const temporary = join(dirname(path), `.${(Math.random() + 1).toString(36).slice(2, 10)}`);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(temporary, resolve);
  });
  server.on('error', () => {});
  try {
    chmodSync(temporary, 0o600);
    const { ino } = lstatSync(temporary);
    renameSync(temporary, path);
    return ino;
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
}

async function relay(socket: Socket, chunks: AsyncIterable<Uint8Array>): Promise<void> {
  await written(socket, { ok: true, value: null, skewMs: 0 });
  for await (const chunk of chunks) {
    if (socket.destroyed) return;
    // A reader that takes nothing holds up its own stream alone.
    if (!socket.write(chunk)) await drained(socket);
  }
}

function drained(socket: Socket): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      socket.off('drain', done);
      socket.off('close', done);
      resolve();
    };
    socket.once('drain', done);
    socket.once('close', done);
  });
}

function written(socket: Socket, value: object): Promise<void> {
  return new Promise((resolve) => {
    if (socket.destroyed) return resolve();
    socket.once('close', () => resolve());
    socket.write(`${JSON.stringify(value)}\n`, () => resolve());
  });
}

function parseOrNothing(line: Buffer): unknown {
  try {
    return parseStrictJson(line, { maxDepth: 64 });
  } catch {
    return undefined;
  }
}
