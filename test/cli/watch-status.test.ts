// What `status --watch` makes of what it hears, heard from a test.
import { describe, expect, it } from 'vitest';
import type { Io, OutputFormat } from '../../src/cli/io.ts';
import { printStatus } from '../../src/cli/plain-status.ts';
import { watchStatus } from '../../src/cli/watch-status.ts';
import type { Hearing, News } from '../../src/client/hearing.ts';
import { AppError, isAppError } from '../../src/protocol/errors.ts';
import { tempDir } from '../support/temp.ts';
import { memoryScreen, NOW, type Stage, stageContext } from './stage.ts';
import { statusReply } from './views.ts';

const NOTHING: News = { everything: false, events: [], heardAtMs: undefined, silentSinceMs: undefined };
const EVENT: News = {
  ...NOTHING,
  events: [{ position: 1, event: 'grant.ready', subject: { user: 'alice' } }],
};
const ALIVE: News = { ...NOTHING, heardAtMs: NOW };
const SILENT: News = { ...NOTHING, silentSinceMs: NOW - 60_000 };

const EMPTY = { ...statusReply, grants: [], pending: [], reviews: [], warnings: [] };
const RESOURCES = { 'GET /v1/resources': { resources: [], bundles: [] } };

interface Options {
  format?: OutputFormat;
  terminal?: boolean;
  /** Called before each news is heard. */
  before?: (index: number, env: Record<string, string>) => Promise<void>;
}

/** Watches through this news, after which the device is revoked. */
async function watch(news: readonly News[], answers: Stage['answers'], options: Options = {}) {
  const { format = 'ndjson', terminal = false, before } = options;
  const [out, err] = [memoryScreen(terminal), memoryScreen(terminal)];
  const io: Io = { stdout: out.screen, stderr: err.screen, stdin: { isTerminal: false, stream: undefined } };
  const env = { ONCALL_HOME: tempDir() };
  const calls: { call: string; body: unknown }[] = [];
  const context = stageContext(io, env, { answers: { ...RESOURCES, ...answers } }, calls, format);
  let index = 0;
  const hearing: Hearing = {
    async take() {
      await before?.(index, env);
      const next = news[index++];
      if (next === undefined) throw new AppError('unauthenticated', 'this device is revoked');
      return next;
    },
    close: async () => {},
  };
  const failure = await watchStatus(context, () => hearing).catch((error: unknown) => error);
  const lines = () => out.text().trimEnd().split('\n');
  return { failure, calls: calls.map(({ call }) => call), stdout: out.text(), lines, stderr: err.text() };
}

describe('the watch', () => {
  it('asks at first and when something happened, not when the broker is only there; each change is one object', async () => {
    const replies = [EMPTY, EMPTY, statusReply];
    const played = await watch([NOTHING, ALIVE, EVENT, ALIVE, EVENT], {
      'GET /v1/status': () => replies.shift(),
    });
    expect(played.calls).toEqual(['GET /v1/status', 'GET /v1/resources', 'GET /v1/status', 'GET /v1/status']);
    expect(played.lines().map((line) => JSON.parse(line).grants.length)).toEqual([0, 2]);
    expect(isAppError(played.failure, 'unauthenticated')).toBe(true);
  });

  it('says since when revocations are not heard, to plain status too, until they are again', async () => {
    const plain: string[] = [];
    const played = await watch(
      [SILENT, SILENT, EVENT],
      { 'GET /v1/status': EMPTY },
      {
        async before(index, env) {
          const out = memoryScreen(false);
          const io: Io = {
            stdout: out.screen,
            stderr: memoryScreen(false).screen,
            stdin: { isTerminal: false, stream: undefined },
          };
          await printStatus({ io, env, now: NOW, format: 'table', profile: undefined });
          plain[index] = out.text();
        },
      },
    );
    expect(played.lines().map((line) => JSON.parse(line).revocationsUnheardSince)).toEqual([
      null,
      '2026-01-05T02:13:00.000Z',
      null,
    ]);
    expect(plain.map((text) => text.includes('revocations not heard since'))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  it('outlives a broker that cannot be reached, warns once, and asks again by itself', async () => {
    let asked = 0;
    const played = await watch([NOTHING, NOTHING, NOTHING], {
      'GET /v1/status': () => {
        if (++asked < 3) throw new AppError('broker_unreachable', 'the broker refuses connections');
        return EMPTY;
      },
    });
    expect(asked).toBe(3);
    expect(played.stderr.match(/warning/g)).toHaveLength(1);
    expect(played.lines()).toHaveLength(1);
  });

  it('redraws a terminal in one write, without clearing it first', async () => {
    const played = await watch(
      [NOTHING],
      { 'GET /v1/status': statusReply },
      { format: 'table', terminal: true },
    );
    expect(played.stdout.match(/\u001b\[H\u001b\[J/g)).toHaveLength(2);
    expect(played.stdout).not.toContain('\u001b[2J');
  });

  it('asks by itself where an older broker has no stream', async () => {
    let asked = 0;
    const played = await watch(
      [NOTHING],
      {
        'GET /v1/status': () => {
          if (++asked > 1) throw new AppError('unauthenticated', 'this device is revoked');
          return EMPTY;
        },
      },
      {
        async before() {
          throw new AppError('not_found', 'there is nothing here');
        },
      },
    );
    expect(asked).toBe(2);
    expect(played.stderr).toContain('no event stream');
    expect(isAppError(played.failure, 'unauthenticated')).toBe(true);
  });
});
