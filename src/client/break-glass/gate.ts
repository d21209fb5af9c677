/**
 * What stands before every exchange with the broker: what this device did by break-glass is told first, and each request says how far
 * its journal goes, so that a broker which knows less can ask for the rest. On the way of every command, so nothing heavy is imported:
 * a device that never broke any glass pays for two looks at the disk.
 */
import { isAppError } from '../../protocol/errors.ts';
import type { JournalReply } from '../../protocol/messages.ts';
import { JOURNAL_SEQ_HEADER } from '../../protocol/signature.ts';
import type { ClientContext } from '../context.ts';
import { hasJournal } from './journal-place.ts';

export interface GateInput extends Pick<ClientContext, 'paths' | 'now' | 'warn'> {
  /** Undefined for what is no device yet. */
  readonly device: string | undefined;
  readonly get: () => Promise<JournalReply>;
  readonly post: (lines: readonly string[]) => Promise<JournalReply>;
}

export interface JournalGate {
  /** The call, once the broker has the journal. Throws what telling it throws, where the broker cannot be reached, and what the call throws. */
  pass<T>(call: (headers: Readonly<Record<string, string>>) => Promise<T>): Promise<T>;
}

export function createJournalGate(input: GateInput): JournalGate {
  const { paths, device } = input;
  let telling: Promise<void> | undefined;
  /** The broker did not take it up to there: it decides what that means, and is not told again by each call. */
  let refusedAt: number | undefined;

  async function newestTold(owner: string): Promise<number> {
    const { peekJournal } = await import('./peek.ts');
    const { unreported, newest } = peekJournal(paths, owner, input.now());
    if (unreported.length === 0 || newest === refusedAt) return newest;
    const { reconcile } = await import('./reconcile.ts');
    telling ??= reconcile({ ...input, device: owner }).finally(() => {
      telling = undefined;
    });
    await telling;
    const after = peekJournal(paths, owner, input.now());
    if (after.unreported.length > 0) refusedAt = after.newest;
    return after.newest;
  }

  async function headers(): Promise<Record<string, string>> {
    if (device === undefined || !hasJournal(paths)) return {};
    return { [JOURNAL_SEQ_HEADER]: String(await newestTold(device)) };
  }

  return {
    async pass(call) {
      try {
        return await call(await headers());
      } catch (error) {
        // Another process has written since: once more, with what it wrote.
        const isBehind = isAppError(error, 'conflict') && error.details?.journal !== undefined;
        if (!isBehind) throw error;
        return call(await headers());
      }
    },
  };
}
