// Whatever sits at the other end of the socket, and whatever lies in its place.
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Listening, listenAt } from '../../src/agent/listen.ts';
import type { Answer } from '../../src/agent/serve.ts';
import { callAgent } from '../../src/client/agent-line.ts';
import { findSocket, prepareSocket } from '../../src/client/agent-socket.ts';
import { type Greeting, MAX_REQUEST_BYTES, SCHEMA } from '../../src/client/agent-wire.ts';
import { failureOf, testContext } from '../client/fixture.ts';
import { atEnd } from '../support/at-end.ts';
import { tempDir, waitFor } from '../support/temp.ts';

const GREETING: Greeting = {
  ...{ schema: SCHEMA, version: '1', pid: 1, profile: 'default', broker: 'https://b/' },
  ...{ deviceId: 'dev_1', keyId: 'k', holdsKey: true },
};

type Answers = (request: unknown, signal: AbortSignal) => Promise<Answer>;

async function listening(answer: Answers = async (value) => ({ ok: true, value, skewMs: 0 })): Promise<{
  context: ReturnType<typeof testContext>;
  path: string;
  listening: Listening;
  gone: { yes: boolean };
}> {
  const context = testContext();
  const path = prepareSocket(context.paths, context.env) as string;
  const gone = { yes: false };
  const opened = await listenAt({
    path,
    greeting: () => GREETING,
    answer,
    onGone: () => {
      gone.yes = true;
    },
  });
  atEnd(() => opened.close());
  return { context, path, listening: opened, gone };
}

/** A raw connection that has been greeted. */
async function dialled(path: string): Promise<{ socket: Socket; text: () => string; closed: () => boolean }> {
  const socket = connect(path);
  let text = '';
  let isClosed = false;
  socket.on('error', () => {});
  socket.on('data', (chunk) => {
    text += chunk.toString();
  });
  socket.on('close', () => {
    isClosed = true;
  });
  atEnd(() => socket.destroy());
  await waitFor(() => text.endsWith('\n'), { what: 'the greeting' });
  return { socket, text: () => text.split('\n').slice(1).join('\n'), closed: () => isClosed };
}

describe('the socket', () => {
  it('answers a line with a line, and is nobody else’s to enter', async () => {
    const { context, path } = await listening();
    const line = await callAgent(context);
    expect(line?.greeting).toEqual(GREETING);
    expect(await line?.ask({ op: 'status' })).toEqual({ value: { op: 'status' }, skewMs: 0 });
    // A second one takes a connection of its own.
    expect(await line?.ask({ op: 'stop' })).toMatchObject({ value: { op: 'stop' } });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
  });

  it.each([
    ['garbage', '\u0000\u0001{{{\n'],
    ['no JSON', 'GET / HTTP/1.1\r\n\r\n'],
    ['JSON with a key twice', '{"op":"status","op":"stop"}\n'],
  ])('takes %s for nothing and goes on', async (_, bytes) => {
    const { context, path } = await listening(async (value) => ({
      ok: true,
      value: value ?? null,
      skewMs: 0,
    }));
    const { socket, text, closed } = await dialled(path);
    socket.write(bytes);
    await waitFor(closed, { what: 'the end' });
    expect(JSON.parse(text())).toMatchObject({ value: null });
    expect((await callAgent(context))?.greeting).toEqual(GREETING);
  });

  it('hangs up on a line without an end, and on half of one', async () => {
    let asked = 0;
    const { context, path } = await listening(async () => {
      asked += 1;
      return { ok: true, value: null, skewMs: 0 };
    });
    const long = await dialled(path);
    const half = await dialled(path);
    half.socket.end('{"op":"sta');
    for (let sent = 0; sent <= MAX_REQUEST_BYTES; sent += 65_536) long.socket.write('x'.repeat(65_536));
    await waitFor(() => long.closed() && half.closed(), { what: 'the end of both' });
    expect({ asked, said: long.text() + half.text() }).toEqual({ asked: 0, said: '' });
    expect((await callAgent(context))?.greeting).toEqual(GREETING);
  });

  it('is not held up by those who say nothing', async () => {
    const { context, path } = await listening();
    const silent = await Promise.all(Array.from({ length: 20 }, () => dialled(path)));
    expect(silent.every(({ closed }) => !closed())).toBe(true);
    expect((await callAgent(context))?.greeting).toEqual(GREETING);
  });

  it('gives up what a command no longer waits for', async () => {
    let given: AbortSignal | undefined;
    const { context } = await listening(async (_, signal) => {
      given = signal;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return { ok: true, value: null, skewMs: 0 };
    });
    const interrupted = new AbortController();
    const line = await callAgent(context);
    const asking = failureOf(
      line?.ask({ op: 'status' }, { signal: interrupted.signal }) ?? Promise.resolve(),
    );
    await waitFor(() => given, { what: 'the request' });
    interrupted.abort();
    expect(await asking).toMatchObject({ code: 'interrupted' });
    await waitFor(() => given?.aborted, { what: 'giving up' });
  });

  it('takes the place of one that a killed agent left', async () => {
    const context = testContext();
    const path = prepareSocket(context.paths, context.env) as string;
    writeFileSync(path, '');
    expect(await callAgent(context)).toBeUndefined();
    const opened = await listenAt({
      path,
      greeting: () => GREETING,
      answer: async (value) => ({ ok: true, value, skewMs: 0 }),
      onGone: () => {},
    });
    atEnd(() => opened.close());
    expect((await callAgent(context))?.greeting).toEqual(GREETING);
    opened.close();
    expect(
      readdirSync(dirname(path)).filter((name) => name.endsWith('.sock') || name.startsWith('.')),
    ).toEqual([]);
  });

  it('says when it or its folder is taken away', async () => {
    const one = await listening();
    rmSync(one.path);
    await waitFor(() => one.gone.yes, { what: 'the word' });
    const other = await listening();
    rmSync(String(other.context.env.ONCALL_HOME), { recursive: true });
    await waitFor(() => other.gone.yes, { what: 'the word' });
    expect(other.listening.isInPlace()).toBe(false);
  });
});

describe('its folder', () => {
  it.each([
    ['that others can enter', (folder: string) => chmodSync(folder, 0o755)],
    [
      'that is a link',
      (folder: string) => {
        rmSync(folder, { recursive: true });
        symlinkSync(tempDir(), folder);
      },
    ],
    [
      'that is a file',
      (folder: string) => {
        rmSync(folder, { recursive: true });
        writeFileSync(folder, '');
      },
    ],
  ])('%s is not used', async (_, spoil) => {
    const { context, path } = await listening();
    spoil(dirname(path));
    expect(await failureOf(() => findSocket(context.paths, context.env))).toMatchObject({
      code: 'unsafe_file',
    });
  });

  it.skipIf(process.getuid?.() !== 0)('of another user is neither used nor made one’s own', async () => {
    const { chownSync } = await import('node:fs');
    const { context, path } = await listening();
    chownSync(dirname(path), 65_534, 65_534);
    expect(await failureOf(() => findSocket(context.paths, context.env))).toMatchObject({
      code: 'unsafe_file',
    });
    expect(await failureOf(() => prepareSocket(context.paths, context.env))).toMatchObject({
      code: 'unsafe_file',
    });
  });

  it('with too long a path is stood in for by a short one of our own, which is looked at too', async () => {
    const home = join(tempDir(), 'a'.repeat(90));
    const temporary = tempDir();
    const context = testContext({ env: { ONCALL_HOME: home, TMPDIR: temporary } });
    const path = prepareSocket(context.paths, context.env) as string;
    expect(dirname(path)).toBe(join(temporary, `oncall-${process.getuid?.()}`));
    expect(statSync(dirname(path)).mode & 0o777).toBe(0o700);
    const opened = await listenAt({
      path,
      greeting: () => GREETING,
      answer: async (value) => ({ ok: true, value, skewMs: 0 }),
      onGone: () => {},
    });
    atEnd(() => opened.close());
    expect((await callAgent(context))?.greeting).toEqual(GREETING);
    const other = testContext({ env: { ONCALL_HOME: `${home}b`, TMPDIR: temporary } });
    expect(prepareSocket(other.paths, other.env)).not.toBe(path);
    chmodSync(dirname(path), 0o777);
    expect(await failureOf(callAgent(context))).toMatchObject({ code: 'unsafe_file' });
  });

  it('that somebody made first under the temporary directory is refused', async () => {
    const temporary = tempDir();
    mkdirSync(join(temporary, 'elsewhere'));
    symlinkSync(join(temporary, 'elsewhere'), join(temporary, `oncall-${process.getuid?.()}`));
    const context = testContext({ env: { ONCALL_HOME: join(tempDir(), 'a'.repeat(90)), TMPDIR: temporary } });
    expect(await failureOf(() => prepareSocket(context.paths, context.env))).toMatchObject({
      code: 'unsafe_file',
    });
    expect(lstatSync(join(temporary, `oncall-${process.getuid?.()}`)).isSymbolicLink()).toBe(true);
  });
});

describe('a command', () => {
  /** Somebody at the socket who is not our agent. */
  async function impostor(talk: (socket: Socket) => void) {
    const context = testContext();
    const path = prepareSocket(context.paths, context.env) as string;
    const server = createServer((socket) => {
      socket.on('error', () => {});
      talk(socket);
    }).listen(path);
    atEnd(() => server.close());
    await waitFor(() => existsSync(path), { what: 'the socket' });
    return context;
  }

  it.each([
    ['says nothing', () => {}],
    ['hangs up', (socket: Socket) => void socket.destroy()],
    ['greets by half', (socket: Socket) => void socket.write('{"schema":')],
    ['is something else', (socket: Socket) => void socket.write('220 mail\r\n')],
    ['never stops', (socket: Socket) => void socket.write('x'.repeat(1_000_000))],
  ])('does without an agent that %s', async (_, talk) => {
    expect(await callAgent(await impostor(talk))).toBeUndefined();
  });

  it.each([
    ['dies in the middle', (socket: Socket) => void socket.destroy()],
    ['answers with no JSON', (socket: Socket) => void socket.write('fine\n')],
    ['answers with half of it', (socket: Socket) => void socket.end('{"ok":true,"val')],
    ['answers something else', (socket: Socket) => void socket.write('{"ok":"yes"}\n')],
  ])('hears nothing from one that %s', async (_, answer) => {
    const context = await impostor((socket) => {
      socket.write(`${JSON.stringify(GREETING)}\n`);
      socket.once('data', () => answer(socket));
    });
    const line = await callAgent(context);
    expect(await line?.ask({ op: 'status' })).toBeUndefined();
    expect(line?.isGone).toBe(true);
    // Not asked a second time.
    expect(await line?.ask({ op: 'status' })).toBeUndefined();
  });
});
