/**
 * Due work is rows: expiry, ending, proof. Each broker takes what is due for the length of a lease; handlers are idempotent,
 * so a job whose broker died is simply taken again. A handler answers when to look again, or that nothing is left to do.
 * Kinds of work go in lanes: what waits for an outside system that hangs keeps no other lane waiting.
 */
import type { Logger } from 'pino';
import type { JobRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';

export type Handler = (subject: string, signal: AbortSignal) => Promise<number | undefined>;

/** Kinds of work that wait for the same things, and how many jobs of them run at once. */
export interface Lane {
  /** By the kind of job. */
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly atOnce: number;
  /** It only asks: a broker that stops does not wait for the answer. */
  readonly isCutAtStop?: boolean;
}

export interface Jobs {
  start(): void;
  /** Look now: something became due. */
  kick(): void;
  /** Waits for handlers under way, takes no new work. */
  stop(): Promise<void>;
}

const LEASE_MS = 30_000;
/** A handler is aborted well before its lease ends, so that two brokers never work on one subject. */
const HANDLER_MS = 20_000;
const LOOK_MS = 500;
/** Changes come in bursts: looking after each of them would cost more than it finds. */
const GAP_MS = 20;
const BACKOFF_MS = [1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000];

export function createJobs(
  store: Store,
  lanes: readonly Lane[],
  options: { logger: Logger; onDone: () => void },
): Jobs {
  const { logger, onDone } = options;
  const all = lanes.map((lane) => ({
    ...lane,
    kinds: Object.keys(lane.handlers),
    running: new Set<Promise<void>>(),
  }));
  // In a row, by job. `attempts` would not do: a timer that was put off by each renewal has counted those too.
  const failures = new Map<string, number>();
  const stopping = new AbortController();
  let stopped = true;
  let looking: Promise<void> | undefined;
  let again = false;
  let nextLookAt = 0;
  let timer: NodeJS.Timeout | undefined;

  async function run(job: JobRow, { handlers, isCutAtStop }: Lane): Promise<void> {
    try {
      const handler = handlers[job.kind];
      if (!handler) throw new Error(`no handler for jobs of kind ${job.kind}`);
      const late = AbortSignal.timeout(HANDLER_MS);
      const signal = isCutAtStop ? AbortSignal.any([late, stopping.signal]) : late;
      const next = await handler(job.subject, signal);
      // What it did is done; that the job is finished nobody waits for.
      onDone();
      await store.write((tx) => (next === undefined ? tx.finishJob(job) : tx.retryJob(job, next, '')));
      failures.delete(job.id);
    } catch (error) {
      const count = (failures.get(job.id) ?? 0) + 1;
      failures.set(job.id, count);
      const delay = BACKOFF_MS[Math.min(count, BACKOFF_MS.length) - 1] ?? 1000;
      logger.warn(
        { err: error, kind: job.kind, subject: job.subject, failures: count },
        'job will be tried again',
      );
      await store
        .write(async (tx) => tx.retryJob(job, (await tx.now()) + delay, String(error)))
        .catch((cause: unknown) =>
          logger.error({ err: cause, job: job.id }, 'job could not be put back; its lease will end'),
        );
      onDone();
    }
  }

  async function look(): Promise<void> {
    const open = all.filter(({ running, atOnce }) => running.size < atOnce);
    if (open.length === 0) return;
    // Looked at by reading first: most looks find nothing, and taking needs the one writer.
    const nowMs = await store.now();
    const kinds = open.flatMap((lane) => lane.kinds);
    const next = await store.read((tx) => tx.nextJobAt(nowMs, kinds));
    if (next === undefined || next > nowMs) return;
    const taken = await store.write(async (tx) => {
      const takenAt = await tx.now();
      const found = [];
      for (const lane of open) {
        const free = lane.atOnce - lane.running.size;
        found.push({ lane, due: await tx.takeJobs(takenAt, LEASE_MS, free, lane.kinds) });
      }
      return found;
    });
    // Where something was due there may be more than could be taken.
    nextLookAt = 0;
    for (const { lane, due } of taken) {
      const { running } = lane;
      for (const job of due) {
        const work = run(job, lane).finally(() => {
          running.delete(work);
          if (!stopped) kick();
        });
        running.add(work);
      }
    }
  }

  function kick(): void {
    if (stopped) return;
    if (looking) {
      again = true;
      return;
    }
    const waitMs = nextLookAt - performance.now();
    if (waitMs > 0) lookIn(waitMs);
    else lookNow();
  }

  function lookIn(ms: number): void {
    clearTimeout(timer);
    timer = setTimeout(lookNow, ms);
  }

  function lookNow(): void {
    clearTimeout(timer);
    nextLookAt = performance.now() + GAP_MS;
    looking = look()
      .catch((error: unknown) => logger.error({ err: error }, 'looking for due work failed'))
      .finally(() => {
        looking = undefined;
        if (stopped) return;
        if (again) {
          again = false;
          kick();
        } else {
          lookIn(LOOK_MS);
        }
      });
  }

  return {
    start() {
      stopped = false;
      kick();
    },
    kick,
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await looking;
      stopping.abort();
      await Promise.allSettled(all.flatMap(({ running }) => [...running]));
    },
  };
}
