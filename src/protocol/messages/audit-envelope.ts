/** What comes with each reply to a change. */
import { type Static, type TSchema, Type } from '@sinclair/typebox';
import { Instant, strict } from '../schema.ts';

export const Receipt = strict({
  origin: Type.String(),
  index: Type.Integer(),
  leafHash: Type.String(),
  at: Instant,
  signature: Type.String(),
});
export type Receipt = Static<typeof Receipt>;

/**
 * What comes with each reply to a change: the receipt for its entry, the newest checkpoint, and the proof that this
 * checkpoint extends the one whose size the client named in `oncall-seen-size` (base64 hashes).
 */
export const AuditProof = strict({
  receipt: Receipt,
  checkpoint: Type.String(),
  consistency: Type.Array(Type.String()),
});
export type AuditProof = Static<typeof AuditProof>;

/** The newest checkpoint that a client has seen, as its signed note. */
export const SeenCheckpoint = strict({ checkpoint: Type.String({ minLength: 1, maxLength: 8192 }) });
export type SeenCheckpoint = Static<typeof SeenCheckpoint>;

export const envelope = <T extends TSchema>(result: T) => strict({ result, audit: AuditProof });
export interface Envelope<T> {
  result: T;
  audit: AuditProof;
}
