/** `status --watch`: lives on the broker's event stream, and asks every ten seconds where an older broker has none. */
import type { Client } from '../client/client.ts';
import { SILENT_MS } from '../client/events.ts';
import { type News, startHearing } from '../client/hearing.ts';
import type { ClientPaths } from '../client/paths.ts';
import { noteContact, noteUnheard, refreshStatus } from '../client/refresh.ts';
import type { StatusFile } from '../client/status-file.ts';
import { AppError, isAppError } from '../protocol/errors.ts';
import type { Context } from './context.ts';
import { note, warn } from './io.ts';
import { writeStatus } from './plain-status.ts';
import { neverSpin, pause } from './waiting.ts';

/** How often a terminal is redrawn when nothing happens: times pass. */
const REDRAW_MS = 2_000;
const POLL_MS = 10_000;
/** Much that happens at once is asked about once. */
const GAP_MS = 100;
/** CSI: cursor home, erase below. Written by us, so it need not pass the escaping of io.ts. */
const REDRAW = '\u001b[H\u001b[J';

/** Until it is interrupted. A terminal is redrawn; elsewhere each change is written once. `listen` is what it hears with. */
export async function watchStatus(context: Context, listen = startHearing): Promise<never> {
  const { io, format, now, signals } = context;
  if (format === 'json') {
    throw new AppError('usage', '--watch writes more than one object', { hint: 'use -o ndjson' });
  }
  const client = await context.client();
  neverSpin(io);
  const draw = createDrawing(context, client.context.paths);
  const look = createLook(context, client);
  const hearing = listen({ broker: client.broker, now, signal: signals.aborted });
  try {
    // What the broker says at once, before its stream is there: that it cannot be reached is part of it.
    for (let news: News | undefined = ALL_NEW; news !== undefined; ) {
      await draw(await look(news));
      news = await takeNews(hearing.take(REDRAW_MS));
      signals.aborted.throwIfAborted();
    }
  } finally {
    await hearing.close();
  }
  await note(io, 'this broker has no event stream: asking every 10 seconds');
  return pollStatus(context, look, draw);
}

const ALL_NEW: News = { everything: true, events: [], heardAtMs: undefined, silentSinceMs: undefined };

async function takeNews(taking: Promise<News>): Promise<News | undefined> {
  try {
    return await taking;
  } catch (error) {
    if (isAppError(error, 'not_found')) return undefined;
    throw error;
  }
}

type Draw = (status: StatusFile | undefined) => Promise<void>;

async function pollStatus({ now, signals }: Context, look: Look, draw: Draw): Promise<never> {
  for (let heardMs = now(); ; await pause(signals.aborted, POLL_MS)) {
    const status = await look({ ...ALL_NEW, silentSinceMs: undefined });
    if (status !== undefined) heardMs = now();
    const isSilent = status === undefined && now() - heardMs >= SILENT_MS;
    await draw(isSilent ? await look({ ...NOTHING_NEW, silentSinceMs: heardMs }) : status);
  }
}

const NOTHING_NEW: News = { ...ALL_NEW, everything: false };

/** The status after this news; undefined where it is as it was, or cannot be known. */
type Look = (news: News) => Promise<StatusFile | undefined>;

function createLook(context: Context, client: Client): Look {
  const { now, signals } = context;
  let isBehind = false;
  let isNamed = false;
  let askedMs = Number.NEGATIVE_INFINITY;
  let silentSinceMs: number | undefined;

  async function ask(): Promise<StatusFile | undefined> {
    await pause(signals.aborted, Math.max(0, Math.min(GAP_MS, askedMs + GAP_MS - now())));
    askedMs = now();
    try {
      const status = await refreshStatus(client, { names: !isNamed });
      isNamed = true;
      isBehind = false;
      return status;
    } catch (error) {
      if (!isPassing(error)) throw error;
      // Said once; the screen says how old it is.
      if (!isBehind) await warn(context.io, error.message);
      isBehind = true;
      return undefined;
    }
  }

  return async (news) => {
    if (news.silentSinceMs !== undefined) {
      // A proxy may keep the stream to itself and still let us ask.
      if (news.silentSinceMs === silentSinceMs) return now() - askedMs >= POLL_MS ? ask() : undefined;
      silentSinceMs = news.silentSinceMs;
      return noteUnheard(client, silentSinceMs);
    }
    const wasSilent = silentSinceMs !== undefined;
    silentSinceMs = undefined;
    if (news.everything || news.events.length > 0 || isBehind || wasSilent) return ask();
    return news.heardAtMs === undefined ? undefined : noteContact(client);
  };
}

/** A broker that restarts must not end the watch; being told that we are not welcome must. */
function isPassing(error: unknown): error is AppError {
  return (
    isAppError(error) && ['broker_unreachable', 'log_behind', 'busy', 'rate_limited'].includes(error.code)
  );
}

function createDrawing({ io, format, now }: Context, paths: ClientPaths): Draw {
  const redraws = format === 'table' && io.stdout.isTerminal;
  let latest: StatusFile | undefined;
  let shown = '';
  return async (status) => {
    latest = status ?? latest;
    if (latest === undefined) return;
    const content = contentOf(latest);
    if (!redraws && content === shown) return;
    if (redraws) io.stdout.write(REDRAW);
    await writeStatus({ io, format, paths, now: now() }, latest);
    shown = content;
  };
}

/** What a change is: everything but when it was heard. */
function contentOf({ brokerContactAt: _, ...status }: StatusFile): string {
  return JSON.stringify(status);
}
