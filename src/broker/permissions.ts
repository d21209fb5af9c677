import type { AdminAction, AdminQuestion, Answer } from '../policy/policy.ts';
import { AppError } from '../protocol/errors.ts';
import type { ReadTx } from '../store/store.ts';
import type { Caller } from './caller.ts';
import { gatherFacts } from './facts.ts';
import type { Rules } from './rules.ts';

/** Every administrative verb is a Cedar action: default deny. */
export async function askPermission(
  rules: Rules,
  caller: Caller,
  tx: ReadTx,
  action: AdminAction,
  about?: AdminQuestion['about'],
): Promise<Answer> {
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
  return policy.isPermitted({ action, user: caller.person.id, about, facts, nowMs });
}

/** Throws `forbidden` with the rules' words. */
export async function requirePermission(...asked: Parameters<typeof askPermission>): Promise<void> {
  const answer = await askPermission(...asked);
  if (answer.allowed) return;
  const [, , , action] = asked;
  const because = answer.rules.map((rule) => rule.because ?? rule.id).join('; ');
  throw new AppError(
    'forbidden',
    `policy does not let you ${action.replaceAll('-', ' ')}${because && `: ${because}`}`,
  );
}
