/** What can be asked for. */
import { type Static, Type } from '@sinclair/typebox';
import { Instant, Name, nullable, oneOf, PartName, Seconds, strict } from '../schema.ts';
import { TARGET_KINDS } from '../target-kinds.ts';
import { Target } from './target.ts';

export const ResourceView = strict({
  name: PartName,
  kind: oneOf(...TARGET_KINDS),
  description: nullable(Type.String()),
  service: Name,
  environment: Name,
  sensitivity: oneOf('low', 'medium', 'high'),
  defaultRole: PartName,
  roles: Type.Array(PartName),
  session: strict({ defaultSeconds: Seconds, maxSeconds: Seconds, maxExtensions: Type.Integer() }),
  credentialSeconds: Seconds,
  /** Since when somebody may have left something there by break-glass; null where that is cleaned up after. */
  taintedAt: nullable(Instant),
});
export type ResourceView = Static<typeof ResourceView>;

/** A set of targets that one request opens together; typed where a resource is. */
export const BundleView = strict({
  name: PartName,
  description: nullable(Type.String()),
  targets: Type.Array(Target),
});
export type BundleView = Static<typeof BundleView>;

export const ResourceList = strict({ resources: Type.Array(ResourceView), bundles: Type.Array(BundleView) });
export type ResourceList = Static<typeof ResourceList>;
