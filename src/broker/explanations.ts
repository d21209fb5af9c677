/** Why, and what would change it. Nothing is recorded. */
import { AppError } from '../protocol/errors.ts';
import type { AskRequest, Explain, Explanation } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { DeviceRow } from '../store/rows.ts';
import type { ReadTx } from '../store/store.ts';
import { openableBy } from './break-glass-decision.ts';
import type { Caller } from './caller.ts';
import { decide, recordDecision, resolveAsked, viewDecision } from './decisions.ts';
import { viewFacts } from './facts.ts';
import type { Rules } from './rules.ts';
import { concerns } from './stage-progress.ts';

export async function explain(tx: ReadTx, rules: Rules, caller: Caller, body: Explain): Promise<Explanation> {
  const { user, device, ask } = await questionOf(tx, rules, caller, body);
  const asked = await resolveAsked(tx, rules, user, device, ask);
  const nowMs = await tx.now();
  const [decided] = decide(rules, asked, nowMs);
  if (!decided) throw new AppError('invalid_request', 'say which resource to explain');
  const [decision] = viewDecision(rules, { decision: recordDecision(rules, [decided]), user }, nowMs);
  if (!decision) throw new AppError('internal', 'a decision without a target');
  const question = {
    user,
    target: decided.target,
    durationSeconds: asked.durationSeconds,
    hasReason: asked.reason !== undefined,
    facts: decided.facts,
    nowMs,
  };
  const { effect } = decision;
  return {
    user,
    decision,
    durationSeconds: asked.durationSeconds,
    facts: viewFacts(decided.facts),
    changes: rules.policy.explain(question).map((change) => ({ ...change })),
    breakGlass: effect === 'grant' ? [] : openableBy(rules, { user, device, nowMs }, [decided.target]),
    policySha256: rules.policy.sha256,
    catalogueSha256: rules.catalogue.sha256,
    at: formatInstant(nowMs),
  };
}

/** What is to be explained: a target as typed, or the first target of a request that one made or could answer. */
async function questionOf(
  tx: ReadTx,
  rules: Rules,
  caller: Caller,
  body: Explain,
): Promise<{ user: string; device: DeviceRow; ask: AskRequest }> {
  const me = caller.person.id;
  if (body.target) {
    const ask = {
      targets: [body.target],
      ...(body.incident !== undefined && { incident: body.incident }),
      ...(body.durationSeconds !== undefined && { durationSeconds: body.durationSeconds }),
      ...(body.hasReason && { reason: 'as if one were given' }),
    };
    return { user: me, device: caller.device, ask };
  }
  const request = body.requestId === undefined ? undefined : await tx.request(body.requestId);
  const device = request && (await tx.device(request.deviceId));
  const nowMs = await tx.now();
  if (!request || !device || !(await concerns(tx, rules, request, me, nowMs))) {
    throw new AppError('not_found', 'name a resource, or a request of yours', {
      hint: 'oncall explain <resource>',
    });
  }
  const ask = {
    targets: request.targets as unknown as AskRequest['targets'],
    ...(request.incident !== null && { incident: request.incident }),
    ...(request.reason !== null && { reason: request.reason }),
    durationSeconds: request.durationSeconds,
  };
  return { user: request.user, device, ask };
}
