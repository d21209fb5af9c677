import { Type } from '@sinclair/typebox';
import { Instant, strict } from '../schema.ts';

/** AWS makes the secret itself, so the device sends nothing but which kind it means. */
export const AwsMaterial = strict({ kind: Type.Literal('aws') });

/**
 * `sealed`: JSON of `accessKeyId`, `secretAccessKey` and `sessionToken`, sealed to the device. `sessionEndsAt`: when AWS itself
 * forgets them; a console session opened with them lasts until then. `signIn` and `console`: URLs.
 */
export const AwsPart = strict({
  kind: Type.Literal('aws'),
  sealed: Type.String(),
  role: Type.String(),
  region: Type.String(),
  sessionEndsAt: Instant,
  signIn: Type.String(),
  console: Type.String(),
});
