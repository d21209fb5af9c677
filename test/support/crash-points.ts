// Faults between the broker and what it stands on. A point is named `before|after commit|target <what>`: around the commit of
// the transaction that records an audit event, or around an issuer's call. The product has no switch for any of this.
import type { Issuer } from '../../src/issuers/issuer.ts';
import type { Store, Tx } from '../../src/store/store.ts';

/** Called at every point in the order it is passed; may never return (SIGKILL), throw, or wait. */
export type AtPoint = (point: string) => void | Promise<void>;

export function decorateStore(store: Store, at: AtPoint): Store {
  return {
    ...store,
    async write(work) {
      let events: string[] = [];
      const result = await store.write(async (tx) => {
        events = [];
        const watched: Tx = {
          ...tx,
          appendAudit: (build) =>
            tx.appendAudit((index, nowMs) => {
              const entry = build(index, nowMs);
              events.push(entry.event);
              return entry;
            }),
        };
        const value = await work(watched);
        for (const event of events) await at(`before commit ${event}`);
        return value;
      });
      for (const event of events) await at(`after commit ${event}`);
      return result;
    },
  };
}

export function decorateIssuer(issuer: Issuer, at: AtPoint): Issuer {
  const around =
    <I, O>(name: string, call: (input: I) => Promise<O>) =>
    async (input: I): Promise<O> => {
      await at(`before target ${name}`);
      const output = await call(input);
      await at(`after target ${name}`);
      return output;
    };
  return {
    ...issuer,
    chooseHandle: (subject) => issuer.chooseHandle(subject),
    guide: (resource) => issuer.guide(resource),
    check: (resource, signal) => issuer.check(resource, signal),
    issue: around('issue', (input) => issuer.issue(input)),
    renew: around('renew', (input) => issuer.renew(input)),
    end: around('end', (input) => issuer.end(input)),
    prove: around('prove', (input) => issuer.prove(input)),
  };
}

/** Every point of issuing, renewing and ending, in the order in which one grant's life passes them. */
export const CRASH_POINTS = [
  'before commit request.granted',
  'after commit request.granted',
  'before commit credential.issuing',
  'after commit credential.issuing',
  'before target issue',
  'after target issue',
  'before commit credential.live',
  'after commit credential.live',
  'before commit credential.renewing',
  'after commit credential.renewing',
  'before target renew',
  'after target renew',
  'before commit credential.renewed',
  'after commit credential.renewed',
  'before commit grant.ended',
  'after commit grant.ended',
  'before target end',
  'after target end',
  'before target prove',
  'after target prove',
  'before commit credential.ended',
  'after commit credential.ended',
] as const;

export type CrashPoint = (typeof CRASH_POINTS)[number];
