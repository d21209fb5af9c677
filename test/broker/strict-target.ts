// A target in memory that takes nothing on trust: a login must be recorded before it is made, is made once, and is there
// until it is ended. It can be told to fail, before or after it has done what it was asked.
import type { EndInput, Issuer } from '../../src/issuers/issuer.ts';
import { AppError } from '../../src/protocol/errors.ts';
import type { Store } from '../../src/store/store.ts';

/** `lazy`: says that a login is ended, and ends it the next time only. */
export type Fault = 'before' | 'after' | 'lazy';

export interface StrictTarget {
  /** Handles that log in now. */
  readonly logins: ReadonlySet<string>;
  /** Everything that was ever done out of order. */
  readonly complaints: readonly string[];
  /** How the next calls fail, one each. */
  fail(...faults: Fault[]): void;
  decorate(issuer: Issuer): Issuer;
}

export function createStrictTarget(store: Store): StrictTarget {
  const logins = new Set<string>();
  const complaints: string[] = [];
  const faults: Fault[] = [];

  async function faulty<T>(act: (lazy: boolean) => Promise<T>): Promise<T> {
    const fault = faults.shift();
    const fall = () => new AppError('target_unreachable', 'the target fails as it was told to');
    if (fault === 'before') throw fall();
    const result = await act(fault === 'lazy');
    if (fault === 'after') throw fall();
    return result;
  }

  return {
    logins,
    complaints,
    fail: (...more) => void faults.push(...more),
    decorate: (issuer) => ({
      ...issuer,
      issue: (input) =>
        faulty(async () => {
          const [row] = await store.read((tx) => tx.credentials({ handle: input.handle, limit: 1 }));
          if (row?.state !== 'issuing') complaints.push(`${input.handle} made while ${row?.state}`);
          if (logins.has(input.handle)) complaints.push(`${input.handle} made twice`);
          const issued = await issuer.issue(input);
          logins.add(input.handle);
          return issued;
        }),
      end: (input: EndInput) =>
        faulty(async (lazy) => {
          const report = await issuer.end(input);
          if (!lazy) logins.delete(input.handle);
          return report;
        }),
      prove: ({ handle, nowMs }) =>
        faulty(async () =>
          logins.has(handle)
            ? { state: 'unproven', method: 'looked', reason: 'it logs in' }
            : { state: 'proven', method: 'looked', at: nowMs },
        ),
    }),
  };
}
