/**
 * A pending request on its way along its chains. Each stage that is reached is a row, with who was asked and until when; its
 * timer does what the catalogue says, once, on time or as soon as a broker is there again. A timer never becomes an approval,
 * except where the catalogue names `auto-override`, policy permits it, and whoever asked is on call.
 */
import { formatDuration } from '../protocol/durations.ts';
import { createId } from '../protocol/ids.ts';
import type { Target } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import { formatInstant } from '../protocol/time.ts';
import type { RequestRow, StageRow } from '../store/rows.ts';
import type { Store, Tx } from '../store/store.ts';
import { seatsOf } from './approvers.ts';
import { type Actor, type AuditLog, BROKER } from './audit-log.ts';
import { isBreakGlass } from './break-glass-decision.ts';
import { isSatisfied, type ReachedStages } from './chain-progress.ts';
import { coveringShift, gatherFacts } from './facts.ts';
import type { Outbox } from './outbox.ts';
import { lockRequest } from './request-lock.ts';
import type { Reviews } from './reviews.ts';
import type { CurrentRules } from './rules.ts';
import { askedIn, type Settlements } from './settlements.ts';
import { reachedStages } from './stage-progress.ts';

export interface Stages {
  /** Asks the first stage of each chain of a request that waits from now on. */
  begin(tx: Tx, request: RequestRow): Promise<void>;
  /** Settles the request if its answers are enough by now. */
  afterAnswer(tx: Tx, request: RequestRow): Promise<void>;
  /** The timer of one stage. */
  timer(subject: string): Promise<number | undefined>;
}

/** Event subjects name this many of those asked. */
const MOST_NAMED = 50;

export function createStages(
  store: Store,
  rules: CurrentRules,
  log: AuditLog,
  deps: { outbox: Outbox; settlements: Settlements; reviews: Reviews },
): Stages {
  const { outbox, settlements, reviews } = deps;

  async function start(tx: Tx, request: RequestRow, chainId: string, index: number): Promise<void> {
    const current = rules();
    const stage = current.catalogue.chains.get(chainId)?.stages[index];
    if (!stage) return noMore(tx, request, `the chain ${chainId} has no further stage`);
    const nowMs = await tx.now();
    const seats = seatsOf(current, stage, request.user, nowMs);
    const asked = seats.map(({ members }) => [...members]);
    const people = [...new Set(asked.flat())];
    // Nobody could satisfy it: nobody is waited for. At the end those who were asked before are.
    const before = reachedStages(current, request, await tx.stages(request.id), chainId, nowMs);
    const awaited = stage.otherwise === 'next' ? [seats] : [...before, seats];
    const isVain = stage.waitSeconds !== undefined && !isSatisfied([awaited], membersOf(awaited));
    const endsAt = isVain ? nowMs : stage.waitSeconds === undefined ? null : nowMs + stage.waitSeconds * 1000;
    const row = { requestId: request.id, chain: chainId, stage: index, startedAt: nowMs, endsAt };
    if (!(await tx.insertStage({ ...row, asked, outcome: null }))) return;
    if (endsAt !== null) {
      const subject = subjectOf(row);
      await tx.insertJob({ id: createId('job', nowMs), kind: 'stage', subject, dueAt: endsAt });
    }
    await log.record(tx, {
      event: 'request.asked',
      actor: BROKER,
      subject: {
        request: request.id,
        user: request.user,
        ...Object.fromEntries(people.slice(0, MOST_NAMED).map((id, at) => [`approver${at + 1}`, id])),
      },
      data: {
        chain: chainId,
        stage: index + 1,
        asked,
        endsAt: endsAt === null ? null : formatInstant(endsAt),
      },
    });
    if (people.length > 0) await ask(tx, request, people, `${chainId}, stage ${index + 1}`, row);
  }

  async function ask(
    tx: Tx,
    request: RequestRow,
    to: readonly string[],
    rule: string,
    { chain, stage }: Pick<StageRow, 'chain' | 'stage'>,
  ): Promise<void> {
    const what = (request.targets as unknown as Target[]).map(formatTarget).join(' ');
    await outbox.post(tx, {
      id: `approval/${request.id}/${chain}/${stage}`,
      kind: 'approval',
      subject: request.id,
      to,
      title: isBreakGlass(request)
        ? `BREAK-GLASS: ${request.user} needs a second person for ${what}`
        : `${request.user} asks for ${what}`,
      who: request.user,
      what,
      why: [request.incident, request.reason].filter(Boolean).join(': '),
      howLong: formatDuration(request.durationSeconds),
      rule,
      command: `oncall approve ${request.id}`,
    });
  }

  async function noMore(tx: Tx, request: RequestRow, outcome: string): Promise<void> {
    await settlements.end(tx, request, { state: 'denied', outcome, event: 'request.denied' });
  }

  async function timesUp(tx: Tx, request: RequestRow, row: StageRow): Promise<void> {
    const stage = rules().catalogue.chains.get(row.chain)?.stages[row.stage];
    const otherwise = stage?.otherwise ?? 'deny';
    if (!(await tx.closeStage(row.requestId, row.chain, row.stage, otherwise))) return;
    if (otherwise === 'next') return start(tx, request, row.chain, row.stage + 1);
    if (otherwise === 'deny') return noMore(tx, request, lateOn([row.chain]));
    if (!(await mayOverride(tx, request))) return noMore(tx, request, notOverridable([row.chain]));
    await log.record(tx, {
      event: 'request.overridden',
      actor: BROKER,
      subject: { request: request.id, user: request.user },
      data: { chain: row.chain, stage: row.stage + 1 },
    });
    await settleIfEnough(tx, request);
  }

  async function mayOverride(tx: Tx, request: RequestRow): Promise<boolean> {
    const current = rules();
    const nowMs = await tx.now();
    const asked = await askedIn(tx, current, request);
    if (!asked) return false;
    const { user, device, targets, incident, durationSeconds } = asked;
    const hasReason = asked.reason !== undefined;
    return targets.every(({ resource, target }) => {
      if (!coveringShift(current, user, resource, nowMs)) return false;
      const facts = gatherFacts(current, { user, device, resource, incident, nowMs });
      const question = { user, target, durationSeconds, hasReason, facts, nowMs };
      return current.policy.isAllowed('auto-override', question).allowed;
    });
  }

  async function settleIfEnough(tx: Tx, request: RequestRow): Promise<void> {
    const current = rules();
    const nowMs = await tx.now();
    const rows = await tx.stages(request.id);
    const answers = (await tx.approvals(request.id)).filter(({ verdict }) => verdict === 'approve');
    const yes = answers.map((answer) => answer.approver);
    const areSatisfied = (chains: readonly string[]) =>
      isSatisfied(
        chains.map((chain) => reachedStages(current, request, rows, chain, nowMs)),
        yes,
      );
    const chains = request.chains as string[];
    const durations = answers.map((answer) => answer.durationSeconds ?? request.durationSeconds);
    const durationSeconds = Math.min(request.durationSeconds, ...durations);
    const last = yes.at(-1);
    if (last !== undefined && areSatisfied(chains)) {
      const names = yes.join(', ');
      const outcome = isBreakGlass(request)
        ? `by break-glass, with ${names} as the second person`
        : `approved by ${names}`;
      const actor: Actor = { kind: 'user', id: last };
      await settlements.grant(tx, request, { via: 'approval', durationSeconds, outcome, actor });
      return;
    }
    const overridden = new Set(
      rows.filter(({ outcome }) => outcome === 'auto-override').map(({ chain }) => chain),
    );
    if (overridden.size === 0 || !areSatisfied(chains.filter((chain) => !overridden.has(chain)))) return;
    // The other chains may have taken their time: the shift can be over by now.
    if (!(await mayOverride(tx, request))) return noMore(tx, request, notOverridable(overridden));
    const outcome = 'nobody answered in time: opened by override';
    const how = { via: 'override', durationSeconds, outcome, actor: BROKER } as const;
    if (!(await settlements.grant(tx, request, how))) return;
    await reviews.open(tx, 'override', request, lateOn(overridden));
    await tellOfOverride(tx, request, rows, lateOn(overridden));
  }

  /** Those who were asked, and did not answer. */
  async function tellOfOverride(
    tx: Tx,
    request: RequestRow,
    rows: readonly StageRow[],
    why: string,
  ): Promise<void> {
    const what = (request.targets as unknown as Target[]).map(formatTarget).join(' ');
    await outbox.post(tx, {
      id: `override/${request.id}`,
      kind: 'override',
      subject: request.id,
      to: rows.flatMap(({ asked }) => (asked as string[][]).flat()),
      title: `${request.user} was let into ${what} without a yes`,
      who: request.user,
      what,
      why,
      howLong: formatDuration(request.durationSeconds),
      rule: (request.chains as string[]).join(', '),
      command: `oncall revoke --user ${request.user} --reason '…'`,
    });
  }

  return {
    async begin(tx, request) {
      for (const chain of request.chains as string[]) await start(tx, request, chain, 0);
    },

    afterAnswer: settleIfEnough,

    timer(subject) {
      return store.write(async (tx) => {
        const [requestId = '', chain = '', stage = ''] = subject.split(' ');
        const request = await lockRequest(tx, requestId);
        const nowMs = await tx.now();
        // What has expired while no broker ran is not opened now.
        if (request?.state !== 'pending' || request.expiresAt <= nowMs) return undefined;
        const row = (await tx.stages(requestId)).find(
          (one) => one.chain === chain && one.stage === Number(stage),
        );
        if (!row || row.outcome !== null || row.endsAt === null) return undefined;
        if (row.endsAt > nowMs) return row.endsAt;
        await timesUp(tx, request, row);
        return undefined;
      });
    },
  };
}

function membersOf(stages: ReachedStages): string[] {
  return stages.flatMap((seats) => seats.flatMap(({ members }) => [...members]));
}

function lateOn(chains: Iterable<string>): string {
  return `nobody on ${[...chains].join(', ')} answered in time`;
}

function notOverridable(chains: Iterable<string>): string {
  return `${lateOn(chains)}, and policy does not permit an override`;
}

function subjectOf({ requestId, chain, stage }: Pick<StageRow, 'requestId' | 'chain' | 'stage'>): string {
  return `${requestId} ${chain} ${stage}`;
}
