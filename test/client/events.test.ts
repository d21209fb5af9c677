// The event stream: against the real broker, and against servers that mean harm. Time is told, never waited for.
import type { ServerResponse } from 'node:http';
import { describe, expect, it } from 'vitest';
import { createBroker } from '../../src/client/broker.ts';
import { createEventParser } from '../../src/client/event-parser.ts';
import { type Heard, type ListenInput, listen, SILENT_MS } from '../../src/client/events.ts';
import { startHearing } from '../../src/client/hearing.ts';
import { atEnd } from '../support/at-end.ts';
import { enrolled } from '../support/device.ts';
import { install } from '../support/installation.ts';
import { waitFor } from '../support/temp.ts';
import { testClient, testContext } from './fixture.ts';
import { Refused, Streaming, startTestBroker } from './test-broker.ts';

/** A clock that a test moves; who waits on it goes on when it has come so far. */
class Clock {
  ms = Date.parse('2026-01-05T02:14:00.000Z');
  readonly waits: number[] = [];
  readonly #waiting = new Set<() => void>();

  readonly now = () => this.ms;
  readonly wait = (ms: number, signal: AbortSignal): Promise<void> => {
    const at = this.ms + ms;
    this.waits.push(ms);
    return new Promise((resolve, reject) => {
      const look = () => {
        if (signal.aborted) reject(new Error('given up'));
        else if (this.ms >= at) resolve();
        else return;
        this.#waiting.delete(look);
      };
      this.#waiting.add(look);
      signal.addEventListener('abort', look);
      look();
    });
  };

  advance(ms: number): void {
    this.ms += ms;
    for (const look of [...this.#waiting]) look();
  }
}

type Stream = ListenInput['broker']['stream'];

/** Listens until the test ends; `heard` grows. */
function hear(stream: Stream, clock = new Clock()) {
  const stop = new AbortController();
  const heard: Heard[] = [];
  const { now, wait } = clock;
  const input: ListenInput = { broker: { stream }, now, wait, signal: stop.signal, random: () => 1 };
  const ended = (async () => {
    for await (const one of listen(input)) heard.push(one);
  })();
  ended.catch(() => {});
  atEnd(() => stop.abort());
  return { heard, clock, ended, stop: () => stop.abort() };
}

const text = (event: string, id: number, more = {}) =>
  `id: ${id}\nevent: ${event}\ndata: ${JSON.stringify({ position: Math.max(0, id - 1), event, subject: {}, ...more })}\n\n`;
const HELLO = text('hello', 7);

/** One stream after another: what each says before it ends, or hangs (`...`). Then none. */
function tells(...streams: (string | Buffer)[][]) {
  const paths: string[] = [];
  const stream: Stream = async (path, { signal } = {}) => {
    paths.push(path);
    const chunks = streams.shift() ?? ['...'];
    return (async function* () {
      for (const chunk of chunks) {
        if (chunk === '...')
          await new Promise((_, fail) =>
            signal?.addEventListener('abort', () =>
              fail(Object.assign(new Error('cut'), { code: 'ABORT_ERR' })),
            ),
          );
        yield Buffer.from(chunk);
      }
    })();
  };
  return { stream, paths };
}

const kinds = (heard: readonly Heard[]) =>
  heard.map((one) => (one.kind === 'event' ? one.event.event : one.kind));

describe('the event stream', () => {
  it('begins with everything, tells events in order, and goes on after the last one', async () => {
    const { stream, paths } = tells(
      [HELLO, text('grant.created', 9), ': still here\n\n'],
      [text('hello', 9), text('grant.ended', 10), '...'],
    );
    const { heard, clock } = hear(stream);
    await waitFor(() => clock.waits.includes(1000), { what: 'the stream has ended' });
    clock.advance(1000);
    await waitFor(() => heard.length === 5, { what: 'five things' });
    expect(kinds(heard)).toEqual(['everything', 'grant.created', 'alive', 'alive', 'grant.ended']);
    expect(paths).toEqual(['/v1/events', '/v1/events?after=9']);
  });

  it('is kept open by a heartbeat, which moves the position on', async () => {
    // As the broker writes it where nothing concerned this listener.
    const { stream, paths } = tells(
      [HELLO, 'id: 25\n: still here\n\n', text('grant.created', 31)],
      [text('hello', 31)],
    );
    const { heard, clock } = hear(stream);
    await waitFor(() => clock.waits.includes(1000), { what: 'the stream has ended' });
    expect(kinds(heard)).toEqual(['everything', 'alive', 'grant.created']);
    clock.advance(1000);
    await waitFor(() => paths.length === 2, { what: 'it comes back' });
    expect(paths).toEqual(['/v1/events', '/v1/events?after=31']);
  });

  it('is the same however the bytes are cut, with CRLF, comments and fields of the future', async () => {
    const words = `: hi\r\n${HELLO}retry: 5\nid: 8\nevent: grant.created\nfuture: x\ndata: {"position":7,"event":"grant.created","subject":{"user":"zoë"}}\n\n`;
    const whole = createEventParser().push(Buffer.from(words));
    const parser = createEventParser();
    const bytes = [...Buffer.from(words)].flatMap((byte) => parser.push(Uint8Array.of(byte)));
    expect(bytes).toEqual(whole);
    expect(whole.map(({ kind }) => kind)).toEqual(['comment', 'event', 'event']);
  });

  it.each([
    ['garbage', ['<html>captive portal</html>\n\n']],
    ['a line without an end', ['x'.repeat(20_000)]],
    ['an event without an end', Array.from({ length: 40 }, (_, index) => `f${index}: ${'x'.repeat(1000)}\n`)],
    ['no greeting', [text('grant.created', 3)]],
    ['bytes that are no text', [Buffer.from([0xff, 0xfe, 0x0a])]],
    ['a subject that is no record', [text('hello', 7, { subject: [] })]],
    ['an event of another name', [text('hello', 7, { event: 'reset' })]],
    [
      'a position that is none',
      ['id: -1\nevent: hello\ndata: {"position":1,"event":"hello","subject":{}}\n\n'],
    ],
    ['a heartbeat whose position is none', [`${HELLO}id: x\n: still here\n\n`]],
    ['a field twice', ['id: 1\nid: 9\nevent: hello\ndata: {"position":1,"event":"hello","subject":{}}\n\n']],
    ['half an event', [HELLO.slice(0, 40)]],
  ])('hears nothing in %s, and comes back', async (_, chunks) => {
    const { stream, paths } = tells(chunks, [HELLO, '...']);
    const { heard, clock } = hear(stream);
    await waitFor(() => clock.waits.includes(1000), { what: 'a retry' });
    expect(heard).toEqual([]);
    clock.advance(1000);
    await waitFor(() => heard.length > 0, { what: 'a greeting' });
    expect(paths).toHaveLength(2);
  });

  it('does not hear old positions twice, and follows a broker that counts anew', async () => {
    const { stream } = tells([
      HELLO + text('grant.created', 9) + text('grant.created', 9) + text('grant.ended', 8),
      text('reset', 9, { position: 2 }) + text('grant.created', 3),
      '...',
    ]);
    const { heard } = hear(stream);
    await waitFor(() => heard.length >= 4, { what: 'four things' });
    expect(kinds(heard)).toEqual(['everything', 'grant.created', 'everything', 'grant.created']);
  });

  it('says after a minute of silence since when, reconnects, and says when it is over', async () => {
    const { stream, paths } = tells([HELLO, '...'], [text('hello', 7), '...']);
    const { heard, clock } = hear(stream);
    await waitFor(() => heard.length === 1, { what: 'the greeting' });
    const since = clock.ms;
    clock.advance(SILENT_MS - 1);
    clock.advance(5001);
    await waitFor(() => heard.length === 2, { what: 'silence' });
    expect(heard[1]).toEqual({ kind: 'silent', sinceMs: since });
    await waitFor(() => clock.waits.includes(1000), { what: 'a retry' });
    clock.advance(1000);
    await waitFor(() => heard.length === 3, { what: 'a word' });
    expect([kinds(heard).at(-1), paths.length]).toEqual(['alive', 2]);
  });

  it('is silent too while it cannot be reached, and says so once', async () => {
    const refused = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
    const { heard, clock } = hear(async () => Promise.reject(refused));
    await waitFor(
      () => {
        clock.advance(5_000);
        return clock.waits.filter((ms) => ms === 30_000).length > 2;
      },
      { what: 'the longest wait, three times' },
    );
    expect(kinds(heard)).toEqual(['silent']);
    expect(clock.waits.filter((ms) => ms !== 5_000).slice(0, 6)).toEqual([
      1000, 2000, 4000, 8000, 16_000, 30_000,
    ]);
  });

  it('is not reassured by a server that dribbles bytes without saying anything', async () => {
    const { heard, clock, stop } = hear(async () =>
      (async function* () {
        yield Buffer.from(`${HELLO}data: `);
        for (let spent = 0; spent < 20; spent++) {
          await new Promise((resolve) => setImmediate(resolve));
          clock.advance(5_000);
          yield Buffer.from('x');
        }
        stop();
      })(),
    );
    await waitFor(() => heard.some(({ kind }) => kind === 'silent'), { what: 'silence' });
  });
});

describe('over a connection', () => {
  async function serve(begin: (response: ServerResponse, times: number) => void) {
    const server = await startTestBroker();
    let times = 0;
    server.routes.set('GET /v1/events', () => new Streaming((response) => begin(response, ++times)));
    return { server, client: await testClient(server) };
  }

  it('that is cut in the middle of an event, hears the rest over the next one', async () => {
    const { client, server } = await serve((response, times) => {
      if (times > 1) return void response.write(text('hello', 7) + text('grant.created', 8));
      response.write(HELLO + text('grant.created', 8).slice(0, 30), () => response.destroy());
    });
    const { heard, clock } = hear(client.broker.stream);
    await waitFor(() => clock.waits.includes(1000), { what: 'the cut' });
    clock.advance(1000);
    await waitFor(() => heard.length === 3, { what: 'the event' });
    expect(kinds(heard)).toEqual(['everything', 'alive', 'grant.created']);
    expect(server.asked.map(({ path }) => path)).toEqual(['/v1/events', '/v1/events?after=7']);
    const signatures = server.asked.map(({ headers }) => headers.signature);
    expect(new Set(signatures).size).toBe(2);
  });

  it('is closed when nobody listens any more', async () => {
    let closed = false;
    const { client } = await serve((response) => {
      response.on('close', () => {
        closed = true;
      });
      response.write(HELLO);
    });
    const { heard, stop, ended } = hear(client.broker.stream);
    await waitFor(() => heard.length === 1, { what: 'the greeting' });
    stop();
    await ended;
    await waitFor(() => closed, { what: 'the end of the connection' });
  });

  it('with a clock that is wrong, is corrected as every call is', async () => {
    const { client, server } = await serve((response) => void response.write(HELLO));
    server.skewMs = 300_000;
    const { heard } = hear(client.broker.stream);
    await waitFor(() => heard.length === 1, { what: 'the greeting' });
    expect(client.context.warnings).toEqual(['your clock is 5m slow']);
    server.skewMs = 0;
    const later = hear(client.broker.stream);
    await waitFor(() => later.heard.length === 1, { what: 'the greeting, after the clock was set' });
    expect(client.context.warnings).toHaveLength(1);
  });

  it.each([
    [404, 'not_found'],
    [401, 'unauthenticated'],
    [403, 'forbidden'],
  ])('ends where the broker answers %d', async (status, code) => {
    const server = await startTestBroker();
    server.routes.set('GET /v1/events', () => new Refused({ status, code }));
    const { broker } = await testClient(server);
    await expect(hear(broker.stream).ended).rejects.toMatchObject({ code });
  });
});

describe('with the real broker', () => {
  it('hears what happens, what it missed, and the end of its device', async () => {
    const installation = await install();
    await installation.start({ streamLimits: { heartbeatMs: 50 } });
    const [ana, dora] = [await enrolled(installation, 'ana'), await enrolled(installation, 'dora')];
    const context = testContext();
    const { paths, now, env, warn } = context;
    const { sign } = await import('node:crypto');
    const signer = {
      keyId: ana.keyId,
      alg: 'ed25519' as const,
      sign: async (base: Uint8Array) => sign(null, base, ana.keys.privateKey),
    };
    const config = {
      broker: `${installation.url}/`,
      identityKey: ana.signingKey,
      logKey: ana.signingKey,
      origin: 'x',
      ca: 'pinned',
    };
    const broker = createBroker({ config, signer, paths, now, env, warn });
    const stop = new AbortController();
    const opened: string[] = [];
    const stream: Stream = (path, options) => {
      opened.push(path);
      return broker.stream(path, options);
    };
    const hearing = startHearing({ broker: { stream }, now, signal: stop.signal });
    atEnd(() => hearing.close());
    const until = async (event: string) => {
      for (;;) {
        const { events } = await hearing.take(10_000);
        const found = events.find((one) => one.event === event);
        if (found !== undefined) return found;
      }
    };
    expect((await hearing.take(10_000)).everything).toBe(true);

    // Heartbeats keep the stream open, and are nothing to come back for.
    for (let heard = 0; heard < 3; ) if ((await hearing.take(10_000)).heardAtMs !== undefined) heard += 1;
    expect(opened).toEqual(['/v1/events']);

    await dora.post('/v1/incidents', { id: 'P1-1', service: 'orders', priority: 'P1' });
    expect((await until('incident.declared')).subject).toMatchObject({ incident: 'P1-1' });

    await dora.post(`/v1/devices/${ana.id}/revoke`);
    await expect(
      (async () => {
        for (;;) await hearing.take(10_000);
      })(),
    ).rejects.toMatchObject({ code: 'unauthenticated' });
  });
});
