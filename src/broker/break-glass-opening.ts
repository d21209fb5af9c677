/**
 * The glass is broken: in one transaction with the grants everybody in `breakGlass.notify` is told, a review opens, and the resource
 * counts as one that something may have been left at.
 */
import { formatDuration } from '../protocol/durations.ts';
import type { Target } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import type { RequestRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import { peopleOf } from './approvers.ts';
import { type Actor, type AuditLog, BROKER } from './audit-log.ts';
import { openGrants } from './grants.ts';
import type { Outbox } from './outbox.ts';
import type { Reviews } from './reviews.ts';
import type { CurrentRules, Rules } from './rules.ts';
import { holdEpochs, taint } from './taints.ts';

export interface BreakGlassOpening {
  /** What was asked and decided stands in `request`, which is settled already. */
  open(tx: Tx, request: RequestRow, how: { durationSeconds: number; actor: Actor }): Promise<void>;
}

/** Who hears of what this person opens. */
export function toldOf({ catalogue, ...rest }: Rules, user: string, nowMs: number): string[] {
  return peopleOf({ catalogue, ...rest }, catalogue.breakGlass.notify, user, nowMs);
}

export function createBreakGlassOpening(
  rules: CurrentRules,
  log: AuditLog,
  { outbox, reviews }: { outbox: Outbox; reviews: Reviews },
): BreakGlassOpening {
  return {
    async open(tx, request, { durationSeconds, actor }) {
      const current = rules();
      const nowMs = await tx.now();
      const targets = request.targets as unknown as Target[];
      const what = targets.map(formatTarget).join(' ');
      const told = toldOf(current, request.user, nowMs);
      const how = { via: 'break-glass', durationSeconds, actor, shiftOf: () => undefined } as const;
      await openGrants(tx, current, log, request, how);
      const resources = new Set(targets.map(({ resource }) => resource));
      await holdEpochs(tx, resources);
      for (const resource of resources) await taint(tx, resource);
      await log.record(tx, {
        event: 'break-glass.opened',
        actor: BROKER,
        subject: { request: request.id, user: request.user },
        data: { targets: request.targets, told, durationSeconds },
      });
      const why = [request.incident, request.reason].filter(Boolean).join(': ');
      await outbox.post(tx, {
        id: `break-glass/${request.id}`,
        kind: 'break-glass',
        subject: request.id,
        to: told,
        title: `BREAK-GLASS: ${request.user} opened ${what}`,
        who: request.user,
        what,
        why,
        howLong: formatDuration(durationSeconds),
        rule: rulesOf(request),
        command: `oncall revoke --user ${request.user} --reason '…'`,
      });
      await reviews.open(tx, 'break-glass', request, `opened by break-glass: ${why}`);
    },
  };
}

/** The rules that let it be opened, as the decision has them. */
function rulesOf({ decision }: RequestRow): string {
  const { targets } = decision as unknown as { targets: readonly { rules: readonly { id: string }[] }[] };
  return [...new Set(targets.flatMap(({ rules }) => rules.map(({ id }) => id)))].join(', ');
}
