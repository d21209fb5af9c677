import type { Catalogue, Finding } from '../catalogue/types.ts';
import type { TargetRef } from '../protocol/names.ts';

/**
 * Something a decision used. It is always present: `known: false` carries a neutral `value` that no rule should trust,
 * because Cedar skips a `forbid` that reads an absent attribute. `ageSeconds` says how old the knowledge is.
 */
export interface Fact<T> {
  known: boolean;
  value: T;
  source: string;
  ageSeconds: number;
  /** Old, and still usable: it no longer grants or extends by itself. Set for the shift alone. */
  demoted?: boolean;
}

export interface ShiftFact {
  onCall: boolean;
  /** The best (lowest) level held now; 0 when not on call. */
  level: number;
  /** Schedules on which the person is on call now. */
  schedules: readonly string[];
  /** Each schedule with the level held there: `orders-primary level 1`. */
  positions: readonly string[];
  /** One of these schedules is listed by the service that the resource belongs to. */
  coversResource: boolean;
}

export interface IncidentFact {
  id: string;
  open: boolean;
  /** `P1` … `P5`, or empty. */
  priority: string;
  service: string;
  /** `manual`, or the name of the paging system. */
  source: string;
  declaredBy: string;
  /** The person who would benefit declared it or reopened it: enough for `ask`, never for `grant` or `extend`. */
  byBeneficiary: boolean;
  /** The incident is about the service that the resource belongs to. */
  matchesResource: boolean;
  /** Its source is one that the catalogue trusts; a person's word (`manual`) is. From others it grants the narrowest role alone. */
  trusted: boolean;
  /** The source's API said the same as its webhook, or there is nothing more to ask. */
  confirmed: boolean;
}

export interface DeviceFact {
  id: string;
  keystore: 'keychain' | 'ssh-agent' | 'file';
  /** Seconds since it was enrolled. */
  enrolledSeconds: number;
}

export interface RiskFact {
  score: number;
}

export type Presence = 'none' | 'keychain-prompt' | 'touch' | 'fresh-login';

export interface Facts {
  shift: Fact<ShiftFact>;
  incident: Fact<IncidentFact>;
  device: Fact<DeviceFact>;
  risk: Fact<RiskFact>;
  presence: Fact<{ method: Presence }>;
}

export type AccessAction = 'grant' | 'ask' | 'break-glass' | 'renew' | 'extend' | 'auto-override';

export type AdminAction =
  | 'approve'
  | 'invite'
  | 'manage-device'
  | 'declare-incident'
  | 'resolve-incident'
  | 'revoke'
  | 'read-audit'
  | 'read-grants'
  | 'lock'
  | 'unlock'
  | 'review'
  | 'rotate'
  | 'reload';

export interface AccessQuestion {
  user: string;
  target: TargetRef;
  durationSeconds: number;
  hasReason: boolean;
  facts: Facts;
  /** For the rules' `context.now` (seconds of the day are not offered: shifts are facts). */
  nowMs: number;
}

export interface AdminQuestion {
  action: AdminAction;
  user: string;
  /** What it is about; the resource's attributes become readable to rules where there is one. */
  about?: { resource?: string; role?: string; user?: string } | undefined;
  facts: Facts;
  nowMs: number;
}

/** A rule that decided: its `@id`, its `@because`, and the words that people read. */
export interface DecidingRule {
  id: string;
  effect: 'permit' | 'forbid';
  because: string | undefined;
  chain: string | undefined;
}

export interface Answer {
  allowed: boolean;
  rules: readonly DecidingRule[];
  /** Evaluation errors: any one denies. */
  errors: readonly string[];
}

export interface AccessDecision {
  effect: 'grant' | 'ask' | 'deny';
  /** Rules that decided: for `deny`, the forbids; empty when nothing permitted it. */
  rules: readonly DecidingRule[];
  /** Approval chains that must all be satisfied when `effect` is `ask`. */
  chains: readonly string[];
  errors: readonly string[];
  /** Every rule that permitted it reads the shift: what is granted on it ends with the shift. */
  restsOnShift: boolean;
}

/** One fact turned over, and what the decision would then have been. */
export interface Counterfactual {
  /** Stable name: `shift.onCall`, `incident.open`, `duration`, `role`, `freshness`, … */
  change: string;
  /** In people's words: "if you were on call for orders-primary". */
  words: string;
  effect: 'grant' | 'ask' | 'deny';
}

/**
 * A loaded, validated policy set over one catalogue. Pure: the same question gets the same answer, whatever the clock or
 * the network do. Default deny; a forbid always wins; any evaluation error denies.
 */
export interface Policy {
  readonly sha256: string;
  /** May this be granted now, else may it be asked for, else deny. */
  decideAccess(question: AccessQuestion): AccessDecision;
  /** `renew`, `extend`, `break-glass` and `auto-override` (nobody of a chain answered in time), each in its own moment. */
  isAllowed(action: AccessAction, question: AccessQuestion): Answer;
  isPermitted(question: AdminQuestion): Answer;
  /** What would change the answer, found by deciding again with one fact turned over. Only changes that help are listed. */
  explain(question: AccessQuestion): readonly Counterfactual[];
}

export interface PolicySource {
  file: string;
  text: string;
}

export type LoadPolicy = (
  sources: readonly PolicySource[],
  catalogue: Catalogue,
) => { policy: Policy | undefined; findings: readonly Finding[] };
