/**
 * Break-glass while the broker is there: for when the usual way is too slow. Nobody is asked, except a second person where a resource
 * wants two; the window is short, the role the narrowest that the catalogue lists for it; who would have been asked and what would
 * have been decided otherwise is recorded, and everybody hears of it.
 */

import { SECOND_PERSON_CHAIN } from '../catalogue/second-person.ts';
import { AppError } from '../protocol/errors.ts';
import type { AskBreakGlass } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import type { AuditRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import { type AuditLog, BROKER } from './audit-log.ts';
import { asDecided, decideBreakGlass, otherwiseOf, possibleFor } from './break-glass-decision.ts';
import { type BreakGlassOpening, toldOf } from './break-glass-opening.ts';
import { type GlassAsked, resolveBreakGlass } from './break-glass-targets.ts';
import { actorOf, type Caller } from './caller.ts';
import { type Decided, decide, recordDecision } from './decisions.ts';
import {
  beginWaiting,
  draftRequest,
  findWaiting,
  recordRepeat,
  recordRequest,
  refuseHopeless,
} from './new-request.ts';
import type { CurrentRules, Rules } from './rules.ts';
import type { Stages } from './stages.ts';

/** In words. Fewer say nothing to whoever reviews it. */
const SHORTEST_REASON = 10;
const MOST_NAMED = 5;

export interface BreakGlassOnline {
  /** What the catalogue or policy refuses is recorded as well. */
  ask(
    tx: Tx,
    caller: Caller,
    body: AskBreakGlass,
  ): Promise<{ ref: string; audit: AuditRow } | { refusal: AppError }>;
}

export function createBreakGlass(
  rules: CurrentRules,
  log: AuditLog,
  { stages, opening }: { stages: Stages; opening: BreakGlassOpening },
): BreakGlassOnline {
  function consider(current: Rules, asked: GlassAsked, nowMs: number) {
    const { user, device, durationSeconds } = asked;
    const decided = asked.targets.map(({ resource, target }) =>
      asDecided(
        target,
        decideBreakGlass(current, { user, device, resource, nowMs }, target.role, durationSeconds),
      ),
    );
    const isDenied = decided.some(({ decision }) => decision.effect === 'deny');
    const needsTwo = asked.targets.some(({ resource }) => resource.breakGlass?.twoPerson);
    const told = toldOf(current, user, nowMs);
    const effect = isDenied ? 'deny' : needsTwo ? 'ask' : 'grant';
    const chains = effect === 'ask' ? [SECOND_PERSON_CHAIN] : [];
    const shown = effect === 'ask' ? decided.map((one) => asking(one, chains)) : decided;
    const recorded = recordDecision(current, shown);
    const otherwise = otherwiseOf(current, user, decide(current, asked, nowMs), nowMs);
    const decision = { ...(recorded as object), breakGlass: { otherwise, leftOut: [...asked.leftOut] } };
    const words = isDenied ? 'policy does not permit break-glass here' : grantedWords(told, asked.leftOut);
    return draftRequest(current, asked, { decision, effect, chains, outcome: words }, nowMs);
  }

  async function refuse(
    tx: Tx,
    caller: Caller,
    body: AskBreakGlass,
    refusal: AppError,
  ): Promise<{ refusal: AppError }> {
    await log.record(tx, {
      event: 'break-glass.refused',
      actor: actorOf(caller),
      subject: { user: caller.person.id, device: caller.device.id },
      data: {
        targets: body.targets.map((target) => ({ ...target })),
        reason: body.reason,
        message: refusal.message,
      },
      embedded: caller.embedded,
    });
    return { refusal };
  }

  return {
    async ask(tx, caller, body) {
      const current = rules();
      const nowMs = await tx.now();
      if (body.reason.trim().length < SHORTEST_REASON) {
        throw new AppError('invalid_request', `the reason is shorter than ${SHORTEST_REASON} characters`, {
          hint: 'say what is broken, and why it cannot wait',
        });
      }
      const resolved = await resolveBreakGlass(tx, current, caller, body);
      if ('impossible' in resolved) {
        const where = whereElse(current, caller, nowMs);
        const refusal = new AppError('denied', resolved.impossible, { hint: resolved.hint ?? where });
        return refuse(tx, caller, body, refusal);
      }
      const request = consider(current, resolved, nowMs);
      if (request.state === 'pending') {
        await refuseHopeless(tx, current, request);
        const waiting = await findWaiting(tx, request);
        if (waiting) return { ref: waiting.id, audit: await recordRepeat(tx, log, caller, waiting) };
      }
      const audit = await recordRequest(tx, log, caller, request);
      if (request.state === 'pending') await beginWaiting(tx, stages, request);
      if (request.state === 'granted')
        await opening.open(tx, request, { durationSeconds: request.durationSeconds, actor: BROKER });
      return { ref: request.id, audit };
    },
  };
}

function grantedWords(told: readonly string[], leftOut: readonly string[]): string {
  const whom = told.length === 0 ? 'nobody is told' : `told: ${told.join(', ')}`;
  return `by break-glass; ${whom}${leftOut.length === 0 ? '' : `; not opened: ${leftOut.join(', ')}`}`;
}

/** Where it is possible, for somebody who stands before a door where it is not. */
function whereElse(rules: Rules, { person, device }: Caller, nowMs: number): string {
  const possible = possibleFor(rules, { user: person.id, device, nowMs }, MOST_NAMED);
  const names = possible.map(({ resource, roles }) =>
    formatTarget({ resource: resource.id, role: roles[0] ?? resource.defaultRole }),
  );
  return names.length === 0
    ? 'the catalogue and policy let you break the glass nowhere: oncall request'
    : `it is possible on ${names.join(', ')}`;
}

/** Policy permits it; a second person has not yet. */
function asking({ decision, ...rest }: Decided, chains: readonly string[]): Decided {
  return { ...rest, decision: { ...decision, effect: 'ask', chains } };
}
