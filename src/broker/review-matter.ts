/** What a review is about where no request stands behind it: something opened without the broker, or a journal that does not add up. */
import { hasExactly, isRecord } from '../audit/json-shape.ts';
import type { Json } from '../protocol/canonical-json.ts';

export type ReviewMatter = UseMatter | JournalMatter;

/** Words in it are a person's, as the journal of their device tells them, without control characters. */
export interface UseMatter {
  readonly kind: 'use';
  readonly device: string;
  /** The journal's entry. */
  readonly seq: number;
  readonly pack: string;
  readonly slot: number;
  readonly resource: string;
  readonly role: string;
  readonly reason: string;
  readonly incident: string | null;
  readonly drill: boolean;
  /** By the device's clock; RFC 3339. */
  readonly openedAt: string;
  readonly reconciledAt: string;
  /** What whoever looks at it should know. */
  readonly notes: readonly string[];
}

export interface JournalMatter {
  readonly kind: 'journal';
  readonly device: string;
  readonly why: string;
}

/** Of a review's row; undefined for one about a request. */
export function matterOf(about: Json): ReviewMatter | undefined {
  return isRecord(about) && hasExactly(about, ['kind', 'device'], Object.keys(about))
    ? (about as unknown as ReviewMatter)
    : undefined;
}
