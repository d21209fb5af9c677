/**
 * May the glass be broken? Decided with what the broker knows by itself: what vendors, identity providers and device managers would
 * say counts as unknown, whether they answer at the moment or not. So it is the same decision in the middle of everybody's outage,
 * and `oncall broker check` can find out in peace whether anybody would get in.
 */
import type { BreakGlass, Catalogue, Resource } from '../catalogue/types.ts';
import type { Answer, Facts } from '../policy/policy.ts';
import type { Json } from '../protocol/canonical-json.ts';
import { formatTarget, type TargetRef } from '../protocol/names.ts';
import type { DeviceRow, RequestRow } from '../store/rows.ts';
import { approversOf } from './approvers.ts';
import type { Decided } from './decisions.ts';
import { gatherFacts } from './facts.ts';
import type { Rules } from './rules.ts';
import { createShiftBook, type ShiftBook } from './shift-book.ts';

const booksWithoutVendors = new WeakMap<Catalogue, ShiftBook>();

/** Who is on call by what the catalogue says itself: of outside schedules nothing is known. */
function shiftsWithoutVendors(catalogue: Catalogue): ShiftBook {
  const known = booksWithoutVendors.get(catalogue);
  if (known) return known;
  const book = createShiftBook(catalogue);
  booksWithoutVendors.set(catalogue, book);
  return book;
}

export interface GlassSubject {
  user: string;
  device: DeviceRow | undefined;
  resource: Resource;
  nowMs: number;
}

export function breakGlassFacts({ catalogue, policy }: Rules, subject: GlassSubject): Facts {
  const shifts = shiftsWithoutVendors(catalogue);
  return gatherFacts({ catalogue, policy, shifts }, { ...subject, incident: undefined });
}

/** What the policy says; of a role that the resource does not list for break-glass it is not asked. */
export function decideBreakGlass(
  rules: Rules,
  subject: GlassSubject,
  role: string,
  durationSeconds: number,
): { answer: Answer; facts: Facts } {
  const { user, resource, nowMs } = subject;
  const facts = breakGlassFacts(rules, subject);
  if (!resource.breakGlass?.roles.includes(role))
    return { answer: { allowed: false, rules: [], errors: [] }, facts };
  const target = { resource: resource.id, role };
  const question = { user, target, durationSeconds, hasReason: true, facts, nowMs };
  return { answer: rules.policy.isAllowed('break-glass', question), facts };
}

/** A decision as it is recorded of any other request. */
export function asDecided(
  target: TargetRef,
  { answer, facts }: ReturnType<typeof decideBreakGlass>,
): Decided {
  const { allowed, rules, errors } = answer;
  const effect = allowed ? 'grant' : 'deny';
  return { target, decision: { effect, rules, chains: [], errors, restsOnShift: false }, facts };
}

/** What would have been decided the usual way, and who would have been asked. */
export function otherwiseOf(rules: Rules, user: string, decided: readonly Decided[], nowMs: number): Json {
  return decided.map(({ target, decision: { effect, rules: deciding, chains } }) => ({
    target: { ...target },
    effect,
    rules: deciding.map(({ id, effect: of, because }) => ({ id, effect: of, because: because ?? null })),
    chains: [...chains],
    skipped:
      effect === 'ask' ? [...new Set(chains.flatMap((chain) => approversOf(rules, chain, user, nowMs)))] : [],
  }));
}

/** A request that came as break-glass says so in its decision. */
export function isBreakGlass({ decision }: Pick<RequestRow, 'decision'>): boolean {
  return typeof decision === 'object' && decision !== null && 'breakGlass' in decision;
}

/** More than anybody reads, and little enough to be decided while somebody waits. */
const MOST_LOOKED_AT = 500;

/** Where this person could break the glass now. */
export function possibleFor(
  rules: Rules,
  { user, device, nowMs }: Omit<GlassSubject, 'resource'>,
  most = MOST_LOOKED_AT,
): { resource: Resource; breakGlass: BreakGlass; roles: string[] }[] {
  const found: { resource: Resource; breakGlass: BreakGlass; roles: string[] }[] = [];
  const withGlass = [...rules.catalogue.resources.values()].filter(({ breakGlass }) => breakGlass);
  for (const resource of withGlass.slice(0, MOST_LOOKED_AT)) {
    const { breakGlass } = resource;
    if (!breakGlass || found.length >= most) continue;
    const subject = { user, device, resource, nowMs };
    const roles = breakGlass.roles.filter(
      (role) => decideBreakGlass(rules, subject, role, breakGlass.windowSeconds).answer.allowed,
    );
    if (roles.length > 0) found.push({ resource, breakGlass, roles });
  }
  return found;
}

/** Which of these targets break-glass would open now, as people type them: in this role where it may, else in the narrowest. */
export function openableBy(
  rules: Rules,
  { user, device, nowMs }: Omit<GlassSubject, 'resource'>,
  targets: readonly TargetRef[],
): string[] {
  const typed = targets.flatMap(({ resource: name, role }) => {
    const resource = rules.catalogue.resources.get(name);
    const { breakGlass } = resource ?? {};
    const [narrowest] = breakGlass?.roles ?? [];
    if (!resource || !breakGlass || narrowest === undefined) return [];
    const subject = { user, device, resource, nowMs };
    const may = (asked: string) =>
      decideBreakGlass(rules, subject, asked, breakGlass.windowSeconds).answer.allowed;
    if (role !== narrowest && may(role)) return [formatTarget({ resource: name, role })];
    return may(narrowest) ? [name] : [];
  });
  return [...new Set(typed)];
}
