/**
 * Whether this log has come as far as people have seen it. A store that was restored or promoted from a standby may be short of
 * its newest entries: what would be issued then, no receipt could ever prove. Any client's word holds back that client alone; a
 * checkpoint that this log's own key signed holds back everybody.
 */
import { verifyCheckpoint } from '../audit/checkpoint.ts';
import { AppError } from '../protocol/errors.ts';
import type { BrokerKeys } from './keys.ts';

export interface LogReach {
  /** Throws AppError `log_behind` where the log of `size` entries is shorter than what was seen of it. */
  demand(size: number, seenSize: number): void;
  /** A checkpoint that a client has seen. Throws AppError `audit_invalid` for one that this log's key did not sign. */
  learn(note: string): void;
}

export function createLogReach(origin: string, keys: Pick<BrokerKeys, 'log'>): LogReach {
  let known = 0;
  return {
    demand(size, seenSize) {
      const seen = Math.max(seenSize, known);
      if (size >= seen) return;
      throw new AppError('log_behind', `the audit log here has ${size} entries, and ${seen} have been seen`, {
        hint: 'tell who runs the broker: its store was restored or promoted without its newest entries',
        details: { size, seen },
      });
    },
    learn(note) {
      known = Math.max(known, verifyCheckpoint(note, { origin, publicKey: keys.log.rawPublicKey }).size);
    },
  };
}
