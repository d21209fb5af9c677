// Run as a process of its own by the store's tests, on a database that other processes use at the same time. What it says on
// stdout has happened: a line is written after the transaction it speaks of.
import { writeSync } from 'node:fs';
import { openPostgresStore } from '../../src/store/postgres.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import type { Store } from '../../src/store/store.ts';
import { appendEntry, sampleDelivery, sampleIncident, sampleNotice, sampleStage, T0 } from './sample-rows.ts';

export type ChildTarget = { readonly file: string } | { readonly url: string };

export interface ChildTask {
  readonly target: ChildTarget;
  /** `append`: one incident and its entry for each line, until killed. `compete`: for each number below `count`, once. */
  readonly work: 'append' | 'compete';
  readonly name: string;
  readonly count: number;
}

/** What a competitor won. The request `req_raced` and the reviews `rv0` … must be there. */
export interface Winnings {
  readonly nonces: number[];
  readonly replies: number[];
  readonly deliveries: number[];
  readonly stages: number[];
  readonly notices: number[];
  readonly reviews: number[];
  readonly jobs: string[];
}

const say = (line: string) => writeSync(1, `${line}\n`);

async function main(task: ChildTask): Promise<void> {
  const store =
    'file' in task.target
      ? await openSqliteStore({ file: task.target.file, now: Date.now })
      : await openPostgresStore({ connectionString: task.target.url, poolSize: 4 });
  say('open');
  if (task.work === 'append') await append(store, task);
  else say(JSON.stringify(await compete(store, task)));
  await store.close();
}

async function append(store: Store, { name, count }: ChildTask): Promise<void> {
  for (let n = 0; n < count; n++) {
    const id = `${name}-${n}`;
    const { index } = await store.write(async (tx) => {
      await tx.insertIncident(sampleIncident({ id }));
      return appendEntry(tx, 'incident.declared', { incident: id });
    });
    say(`done ${index} ${id}`);
  }
}

async function compete(store: Store, { name, count }: ChildTask): Promise<Winnings> {
  const won: Winnings = {
    nonces: [],
    replies: [],
    deliveries: [],
    stages: [],
    notices: [],
    reviews: [],
    jobs: [],
  };
  for (let n = 0; n < count; n++) {
    if (await store.write((tx) => tx.claimNonce('key', `n${n}`, T0 + 60_000, T0))) won.nonces.push(n);
    const reply = { deviceId: 'dev', key: `k${n}`, fingerprint: name, status: 200, reply: name };
    const stored = await store
      .write((tx) => tx.insertIdempotency({ ...reply, createdAt: T0 }))
      .then(
        () => true,
        () => false,
      );
    if (stored) won.replies.push(n);
    const delivery = sampleDelivery({ deliveryId: `d${n}` });
    if (await store.write((tx) => tx.insertDelivery(delivery))) won.deliveries.push(n);
    const stage = sampleStage({ requestId: 'req_raced', stage: n });
    if (await store.write((tx) => tx.insertStage(stage))) won.stages.push(n);
    const notice = sampleNotice({ id: `nt${n}` });
    if (await store.write((tx) => tx.insertNotice(notice))) won.notices.push(n);
    const closing = { outcome: 'drill', note: name, closedBy: name, closedAt: T0 } as const;
    if (await store.write((tx) => tx.closeReview(`rv${n}`, closing))) won.reviews.push(n);
    for (const job of await store.write((tx) => tx.takeJobs(T0, 60_000, 2))) {
      won.jobs.push(job.id);
      await store.write(async (tx) => {
        await tx.finishJob(job);
        await appendEntry(tx, 'job.done', { job: job.id });
      });
    }
  }
  return won;
}

void main(JSON.parse(process.argv[2] ?? '{}') as ChildTask);
