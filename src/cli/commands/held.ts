import { existsSync } from 'node:fs';
import { grantFolder } from '../../client/session-paths.ts';
import { readStatusFile, type StatusFile } from '../../client/status-file.ts';
import { AppError } from '../../protocol/errors.ts';
import { formatTarget } from '../../protocol/names.ts';
import { defineCommand, readTarget, type TypedTarget } from '../command.ts';
import type { Context } from '../context.ts';
import { formatTyped } from '../held-grants.ts';
import { openFor } from '../take-opened.ts';

export interface HeldOptions {
  readonly targets: readonly TypedTarget[];
}

export const heldCommand = defineCommand<HeldOptions>({
  json: [],
  examples: [
    ['oncall held db-replica', 'exit 0 where a credential is at hand here'],
    ['oncall held db-replica db-host:operator', 'one of them is enough'],
  ],
  declare: (command) => void command.argument('<targets...>', 'resources, or resource:role: one is enough'),
  completes: { targets: { names: ['held', 'resources', 'roles'] } },
  read: (typed) => ({ targets: typed.args.map(readTarget) }),
  run: runHeld,
});

/**
 * Says nothing where a credential for one of the targets is here and lives; else how to get one. From local files: ssh asks this
 * before it connects (client/targets/ssh.ts). Throws AppError `expired` and `not_found`.
 */
export async function runHeld(context: Context, { targets }: HeldOptions): Promise<void> {
  const { paths } = await context.clientContext();
  const status = readStatusFile(paths);
  const grants = (status?.grants ?? []).filter(
    ({ target, endsAt }) =>
      Date.parse(endsAt) > context.now() && targets.some((typed) => isMeant(typed, target)),
  );
  const lives = grants.some(
    ({ id, credentialExpiresAt }) =>
      Date.parse(credentialExpiresAt ?? '') > context.now() && existsSync(grantFolder(paths, id)),
  );
  const isOpen = ({ pack }: { pack: string }) => existsSync(grantFolder(paths, pack));
  if (lives || targets.some((typed) => openFor(status, typed, context.now()).some(isOpen))) return;
  const [grant] = grants;
  if (grant === undefined) throw nothingHeld(targets, status);
  const name = formatTarget(grant.target);
  throw new AppError('expired', `no credential for ${name} lives here, the grant stands`, {
    hint: `oncall renew ${name} --no-extend`,
  });
}

function isMeant({ resource, role }: TypedTarget, target: StatusFile['grants'][number]['target']): boolean {
  return target.resource === resource && (role === undefined || target.role === role);
}

function nothingHeld([target]: readonly TypedTarget[], status: StatusFile | undefined): AppError {
  const name = target === undefined ? '' : formatTyped(target);
  const [incident, ...others] = status?.incidents ?? [];
  const purpose = incident !== undefined && others.length === 0 ? ` -i ${incident.id}` : '';
  return new AppError('not_found', `you hold no access to ${name}`, {
    hint: `oncall request ${name}${purpose}`,
  });
}
