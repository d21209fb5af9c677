import type { Fields } from '../fields.ts';
import type { SecretRef } from '../types.ts';

/** How the catalogue's part about one kind of target is read, and what that part names outside the catalogue. */
export interface TargetReader<T> {
  /** The keys of a resource that only this kind has; `roles` is every kind's. */
  readonly keys: readonly string[];
  /** How long a credential lives. */
  readonly credentialSeconds: { readonly least: number; readonly usual: number; readonly most: number };
  /** Undefined after a finding where a required part is missing or wrong. */
  read(fields: Fields): T | undefined;
  secrets(settings: T): readonly (SecretRef | undefined)[];
  /** PEM files of authorities, relative to the catalogue. */
  certificateFiles(settings: T): readonly (string | undefined)[];
}
