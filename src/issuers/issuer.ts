import type { Resource } from '../catalogue/types.ts';
import type { TargetKind } from '../protocol/target-kinds.ts';
import type { KeyMaterial, PublicPart } from '../protocol/targets/kinds.ts';

export type { KeyMaterial, PublicPart };

/**
 * What makes, renews, ends and proves the end of logins on one kind of target.
 *
 * Contract. The handle (role name, certificate serial) is chosen before the target is called and recorded before the
 * login exists. `issue`, `renew` and `end` are idempotent under their handle: called again after a crash they reach the
 * same state. Each honours `signal`, which aborts before the lease on the credential's row ends. What `issue` and `renew`
 * sent takes effect at the target before `deadlineMs` or never, even if this process was paused in between; a late `end`
 * does no harm. `prove` reads back from the target; it never infers. Several installations may share a target: each login
 * says there which of them made it.
 * Errors: AppError `target_unreachable` (try again), `target_refused` (trying again will not help), `invalid_request` for
 * key material of the wrong form.
 */
export interface Issuer {
  readonly kind: TargetKind;
  /** Who makes logins stop at their time: the target by itself, or the broker by ending them. */
  readonly expiry: 'target' | 'broker';
  /** A renewal prolongs the same login, or makes a new one beside the old. */
  readonly renewal: 'prolong' | 'reissue';
  chooseHandle(subject: CredentialSubject): string;
  issue(input: IssueInput): Promise<Issued>;
  /** `prolong` issuers only: moves the expiry of an existing login. Throws `ended` if the target no longer has it. */
  renew(input: RenewInput): Promise<Issued>;
  end(input: EndInput): Promise<EndReport>;
  prove(input: EndInput): Promise<Proof>;
  /** What stands at the target under our naming scheme now, read back; it alters nothing. */
  survey(resource: Resource, signal: AbortSignal): Promise<Survey>;
  /** Exactly what the target's admin must do, ready to paste. */
  guide(resource: Resource): TargetGuide;
  /** Each requirement proven live. */
  check(resource: Resource, signal: AbortSignal): Promise<readonly Requirement[]>;
  /** Lets go of connections; nothing may be called afterwards. */
  close(): Promise<void>;
}

export interface CredentialSubject {
  credentialId: string;
  grantId: string;
  user: string;
  resource: Resource;
  role: string;
  incident: string | undefined;
}

export interface IssueInput {
  subject: CredentialSubject;
  handle: string;
  material: KeyMaterial;
  /**
   * For targets that hand out bearer secrets: seals one to the device at once, as text for the public part. Only what is sealed
   * may leave the issuer.
   */
  seal(secret: Uint8Array): Promise<string>;
  expiresAtMs: number;
  nowMs: number;
  /** The end of the row's lease, by the clock of `nowMs`. */
  deadlineMs: number;
  signal: AbortSignal;
}

export interface RenewInput {
  subject: CredentialSubject;
  handle: string;
  expiresAtMs: number;
  nowMs: number;
  deadlineMs: number;
  signal: AbortSignal;
}

export interface EndInput {
  subject: CredentialSubject;
  handle: string;
  /** What `issue` returned, as stored with the credential. */
  publicPart: PublicPart | undefined;
  expiresAtMs: number;
  nowMs: number;
  signal: AbortSignal;
}

export interface Issued {
  publicPart: PublicPart;
  expiresAtMs: number;
}

export interface EndReport {
  /** Sessions that were cut. */
  sessionsEnded: number;
  /** What the login left at the target, for the audit log. */
  leftovers: readonly string[];
}

export type Proof =
  | { state: 'proven'; method: string; at: number }
  /** Not proven, but the target refuses it by itself from then on. */
  | {
      state: 'expires';
      method: string;
      expiresAtMs: number;
      /** For how long asking again would tell nothing new; the broker's own measure where it isn't given. */
      lookAgainMs?: number;
    }
  | { state: 'unproven'; method: string; reason: string };

/** Where logins leave nothing at the target by which they could be listed, there is nothing to compare: `persists: false`. */
export type Survey =
  | { persists: false }
  | {
      persists: true;
      /** At most {@link SURVEY_LIMIT}, none twice. */
      found: readonly Found[];
      /** False where there was more than fits: what is missing from `found` may exist all the same. */
      isComplete: boolean;
    };

export const SURVEY_LIMIT = 5000;

/** A login that this installation made, or of which the target does not say who did. Never one that another installation made. */
export interface Found {
  handle: string;
  /** Whether the target says that this installation made it. */
  isOurs: boolean;
  /** When the target stops taking it by itself; undefined where it never does, or does not say. */
  expiresAtMs: number | undefined;
  /** What else the target says of it (grant, person, incident), for people to read: escaped, one line, at most 500 characters. */
  note: string;
}

export interface TargetGuide {
  steps: readonly { title: string; where: string; text: string }[];
}

export interface Requirement {
  name: string;
  ok: boolean;
  detail: string;
  /** The line that fixes it, where it is not ok. */
  fix: string | undefined;
}
