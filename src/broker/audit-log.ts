/**
 * The broker's pen: entries go into the log inside the transaction of what they record, and every reply to a change carries
 * the receipt, the newest checkpoint and the proof that it extends the one the client has seen.
 */
import { formatCheckpoint, verifyCheckpoint } from '../audit/checkpoint.ts';
import { type AuditEntry, encodeEntry } from '../audit/entry.ts';
import { consistencyProof, rootOf } from '../audit/merkle.ts';
import { createReceipt } from '../audit/receipt.ts';
import type { Json } from '../protocol/canonical-json.ts';
import type { AuditProof, CheckpointReply } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { AuditRow } from '../store/rows.ts';
import type { ReadTx, Store, Tx } from '../store/store.ts';
import type { BrokerKeys } from './keys.ts';

export type Actor = AuditEntry['actor'];
export type EmbeddedRequest = NonNullable<AuditEntry['embedded']>;

export interface Happening {
  event: string;
  actor: Actor;
  /** Ids that the log can be searched by. */
  subject: Record<string, string>;
  data: Json;
  /** The signed request on which the entry rests. */
  embedded?: EmbeddedRequest | undefined;
}

export interface AuditLog {
  readonly origin: string;
  record(tx: Tx, happening: Happening): Promise<AuditRow>;
  /** What a reply proves its entry with. To be signed only when the entry was committed. */
  head(tx: ReadTx, seenSize: number): Promise<LogHead>;
  /** The receipt of an entry, with the signed head. */
  prove(row: Provable, head: LogHead): AuditProof;
  checkpoint(fromSize: number): Promise<CheckpointReply>;
  /** When the newest entry of a checkpoint was written; undefined for one of another log, or of more than is here. */
  timeOf(tx: ReadTx, checkpoint: string): Promise<number | undefined>;
}

/** What a receipt says of an entry. */
export type Provable = Pick<AuditRow, 'index' | 'leafHash' | 'at'>;

export interface LogHead {
  size: number;
  rootHash: Uint8Array;
  /** That this log continues the one the client has seen. */
  consistency: readonly Uint8Array[];
}

export const BROKER: Actor = { kind: 'broker', id: 'broker' };

export function createAuditLog(
  store: Store,
  keys: Pick<BrokerKeys, 'identity' | 'log'>,
  origin: string,
): AuditLog {
  const signer = { name: origin, publicKey: keys.log.rawPublicKey, sign: keys.log.sign };

  async function head(tx: ReadTx, fromSize: number): Promise<LogHead> {
    const { size, peaks } = await tx.auditHead();
    const read = (refs: Parameters<ReadTx['auditNodes']>[0]) => tx.auditNodes(refs);
    // A client that has seen more than we hold (a restored or promoted store) must find out: no proof, and it refuses.
    const consistency = fromSize > 0 && fromSize < size ? await consistencyProof(read, fromSize, size) : [];
    return { size, rootHash: rootOf(peaks), consistency };
  }

  function signHead({ size, rootHash, consistency }: LogHead): CheckpointReply {
    return {
      checkpoint: formatCheckpoint({ origin, size, rootHash }, signer),
      consistency: consistency.map((hash) => Buffer.from(hash).toString('base64')),
    };
  }

  return {
    origin,
    record(tx, { event, actor, subject, data, embedded }) {
      return tx.appendAudit((index, nowMs) => ({
        event,
        subject,
        bytes: encodeEntry({
          v: 1,
          index,
          at: formatInstant(nowMs),
          event,
          actor,
          subject,
          data,
          ...(embedded && { embedded }),
        }),
      }));
    },
    head,
    prove(row, newest) {
      const receipt = createReceipt(
        {
          origin,
          index: row.index,
          leafHash: Buffer.from(row.leafHash, 'base64url'),
          at: formatInstant(row.at),
        },
        keys.identity.sign,
      );
      return { receipt, ...signHead(newest) };
    },
    checkpoint: async (fromSize) => signHead(await store.read((tx) => head(tx, fromSize))),
    async timeOf(tx, note) {
      let size: number;
      try {
        ({ size } = verifyCheckpoint(note, { origin, publicKey: keys.log.rawPublicKey }));
      } catch {
        return undefined;
      }
      const [row] = size === 0 ? [] : await tx.auditEntries(size - 1, 1);
      return row?.at;
    },
  };
}
