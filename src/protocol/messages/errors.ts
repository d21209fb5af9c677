/** How the broker refuses. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, strict } from '../schema.ts';

/** The broker's clock, signed over the request's nonce: lets a client correct its own without trusting the network. */
export const SignedTime = strict({ now: Instant, nonce: Type.String(), signature: Type.String() });
export type SignedTime = Static<typeof SignedTime>;

export const ErrorReply = strict({
  error: strict({
    code: Type.String(),
    message: Type.String(),
    hint: Type.Optional(Type.String()),
    details: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  }),
  correlationId: Type.String(),
  time: SignedTime,
  /** base64url, by the broker's identity key: see protocol/refusal.ts. An older broker sends none. */
  signature: Type.Optional(Type.String()),
});
export type ErrorReply = Static<typeof ErrorReply>;
