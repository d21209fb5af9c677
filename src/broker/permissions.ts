import type { AdminAction, AdminQuestion } from '../policy/policy.ts';
import { AppError } from '../protocol/errors.ts';
import type { ReadTx } from '../store/store.ts';
import type { Caller } from './caller.ts';
import { gatherFacts } from './facts.ts';
import type { Rules } from './rules.ts';

/** Every administrative verb is a Cedar action: default deny. Throws `forbidden` with the rules' words. */
export async function requirePermission(
  rules: Rules,
  caller: Caller,
  tx: ReadTx,
  action: AdminAction,
  about?: AdminQuestion['about'],
): Promise<void> {
  const { catalogue, policy } = rules;
  const nowMs = await tx.now();
  const resource = about?.resource === undefined ? undefined : catalogue.resources.get(about.resource);
  const facts = gatherFacts(rules, {
    user: caller.person.id,
    device: caller.device,
    resource,
    incident: undefined,
    nowMs,
  });
  const answer = policy.isPermitted({ action, user: caller.person.id, about, facts, nowMs });
  if (answer.allowed) return;
  const because = answer.rules.map((rule) => rule.because ?? rule.id).join('; ');
  throw new AppError(
    'forbidden',
    `policy does not let you ${action.replaceAll('-', ' ')}${because && `: ${because}`}`,
  );
}
