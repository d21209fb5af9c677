import { afterAll, beforeAll, describe } from 'vitest';
import type { BuildContext } from '../../src/store/query-context.ts';
import type { Store } from '../../src/store/store.ts';
import type { ChildTarget } from './child.ts';
import { auditContract } from './contract-audit.ts';
import { breakGlassContract } from './contract-break-glass.ts';
import { credentialContract } from './contract-credentials.ts';
import { hostContract } from './contract-hosts.ts';
import { incidentContract } from './contract-incidents.ts';
import { jobContract } from './contract-jobs.ts';
import { migrationContract } from './contract-migrations.ts';
import { outboxContract } from './contract-outbox.ts';
import { packContract } from './contract-packs.ts';
import { processContract } from './contract-processes.ts';
import { replayContract } from './contract-replay.ts';
import { reviewContract } from './contract-reviews.ts';
import { rowContract } from './contract-rows.ts';
import { shiftContract } from './contract-shifts.ts';
import { transactionContract } from './contract-transactions.ts';

/** One empty database. */
export interface TestStore {
  /** Opens it once more; closed with the database. */
  open(): Promise<Store>;
  /** Runs in one transaction under the contract, as only migrations do. */
  inTransaction<T>(work: (context: BuildContext) => Promise<T>): Promise<T>;
  /** For a process of its own that opens it. */
  readonly target: ChildTarget;
  close(): Promise<void>;
}

export interface StoreContext {
  /** Migrated, shared by the suite: every test makes up its own ids. */
  readonly store: Store;
  /** A migrated database for one test. */
  fresh(): Promise<{ store: Store; other: TestStore }>;
  /** An empty one. */
  empty(): Promise<TestStore>;
}

/** What store.ts promises, for one implementation. */
export function storeContract(name: string, create: () => Promise<TestStore>): void {
  describe(`a store on ${name}`, () => {
    const opened: TestStore[] = [];
    let shared: Store | undefined;
    const context: StoreContext = {
      get store() {
        if (shared === undefined) throw new Error('the store is opened before the first test');
        return shared;
      },
      async fresh() {
        const other = await context.empty();
        const store = await other.open();
        await store.migrate();
        return { store, other };
      },
      async empty() {
        const created = await create();
        opened.push(created);
        return created;
      },
    };
    beforeAll(async () => {
      shared = (await context.fresh()).store;
    });
    afterAll(async () => {
      for (const each of opened) await each.close();
    });
    rowContract(context);
    incidentContract(context);
    shiftContract(context);
    outboxContract(context);
    reviewContract(context);
    breakGlassContract(context);
    packContract(context);
    credentialContract(context);
    hostContract(context);
    replayContract(context);
    jobContract(context);
    auditContract(context);
    transactionContract(context);
    migrationContract(context);
    processContract(context);
  });
}
