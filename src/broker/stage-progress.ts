/** Where a request stands on its chains, from the stages it has reached and the answers it has. */
import type { Stage } from '../catalogue/types.ts';
import type { WaitingView } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { RequestRow, StageRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import { approversOf, seatsOf, stageWords } from './approvers.ts';
import { isSatisfied, missingOf, type ReachedStages, type Seats } from './chain-progress.ts';
import { reachOf } from './outbox.ts';
import type { Rules } from './rules.ts';

/** Seats of every stage that this chain has reached; of a chain that has left the catalogue, none. */
export function reachedStages(
  rules: Rules,
  request: Pick<RequestRow, 'user'>,
  rows: readonly StageRow[],
  chainId: string,
  nowMs: number,
): ReachedStages {
  const stages = rules.catalogue.chains.get(chainId)?.stages ?? [];
  return rows.flatMap((row): (readonly Seats[])[] => {
    const stage = row.chain === chainId ? stages[row.stage] : undefined;
    return stage ? [seatsOf(rules, stage, request.user, nowMs, row.asked as string[][])] : [];
  });
}

/** Whether this person is asked now: sits in a stage that was reached. */
export async function isAsked(
  tx: ReadTx,
  rules: Rules,
  request: RequestRow,
  user: string,
  nowMs: number,
): Promise<boolean> {
  if (request.user === user) return false;
  const rows = await tx.stages(request.id);
  return (request.chains as string[]).some((chain) =>
    reachedStages(rules, request, rows, chain, nowMs).some((seats) =>
      seats.some(({ members }) => members.has(user)),
    ),
  );
}

/** Whether this person may know of a request: made it, is asked about it, or could be. */
export async function concerns(
  tx: ReadTx,
  rules: Rules,
  request: RequestRow,
  user: string,
  nowMs: number,
): Promise<boolean> {
  if (request.user === user) return true;
  const chains = request.chains as string[];
  if (chains.some((chain) => approversOf(rules, chain, request.user, nowMs).includes(user))) return true;
  return isAsked(tx, rules, request, user, nowMs);
}

/** Whether nobody could ever say yes enough, whatever the timers do. */
export function isHopeless(rules: Rules, request: RequestRow, nowMs: number): boolean {
  const chains = (request.chains as string[]).map((id) => rules.catalogue.chains.get(id)?.stages ?? []);
  if (chains.some((stages) => stages.some(({ otherwise }) => otherwise === 'auto-override'))) return false;
  const everybody = (request.chains as string[]).flatMap((id) => approversOf(rules, id, request.user, nowMs));
  const all = chains.map((stages) => stages.map((stage) => seatsOf(rules, stage, request.user, nowMs)));
  return !isSatisfied(all, everybody);
}

/** Where each chain of a pending request stands: who was asked, what is missing, what follows and when. */
export async function waitingOf(
  tx: ReadTx,
  rules: Rules,
  request: RequestRow,
  nowMs: number,
): Promise<WaitingView[]> {
  if (request.state !== 'pending') return [];
  const rows = await tx.stages(request.id);
  const answers = await tx.approvals(request.id);
  const yes = answers.filter(({ verdict }) => verdict === 'approve').map(({ approver }) => approver);
  const people = [...new Set(rows.flatMap(({ asked }) => (asked as string[][]).flat()))];
  const reach = await reachOf(tx, rules, request.id, people);
  return (request.chains as string[]).flatMap((chain) => {
    const own = rows.filter((row) => row.chain === chain);
    const stages = rules.catalogue.chains.get(chain)?.stages ?? [];
    const seats = reachedStages(rules, request, own, chain, nowMs);
    const row = own.at(-1);
    const current = seats.at(-1);
    if (!row || !current) return [];
    const asked = [...new Set(own.flatMap((one) => (one.asked as string[][]).flat()))];
    return [
      {
        chain,
        stage: row.stage + 1,
        stages: stages.length,
        asked: asked.map((user) => ({ user, reach: reach.get(user) ?? 'none' })),
        missing: missingOf(current, yes).map(({ label, count }) => `${count} of ${label}`),
        next: nextOf(stages, row),
      },
    ];
  });
}

function nextOf(stages: readonly Stage[], { stage: index, endsAt }: StageRow): WaitingView['next'] {
  const stage = stages[index];
  if (!stage || endsAt === null) return null;
  const next = stage.otherwise === 'next' ? stages[index + 1] : undefined;
  return {
    at: formatInstant(endsAt),
    what: stage.otherwise,
    approvers: next ? stageWords(next) : [],
  };
}
