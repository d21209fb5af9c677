/** What the server says about ephemeral roles. */
import type { Resource } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import { goneError, HANDLE_PATTERN } from './login-names.ts';
import { postgresSettings, type TargetSession } from './postgres-connection.ts';

/** `closed`: its end has begun. */
export async function readLogin(session: TargetSession, name: string): Promise<'open' | 'closed' | 'absent'> {
  const [row] = await session.query<{ open: boolean }>(
    'select rolcanlogin as open from pg_roles where rolname = $1',
    [name],
  );
  if (!row) return 'absent';
  return row.open ? 'open' : 'closed';
}

/** Whether the role exists already, from an earlier call under this handle. Throws where it may not be made. */
export async function mayMake(session: TargetSession, name: string, resource: Resource): Promise<boolean> {
  const login = await readLogin(session, name);
  if (login === 'closed') throw goneError(name);
  if (login === 'open') return true;
  const { maxRoles } = postgresSettings(resource);
  const count = await countEphemeralRoles(session);
  if (count < maxRoles) return false;
  throw new AppError('target_refused', `${resource.id} has ${count} ephemeral roles already`, {
    hint: `roles named oncall_… pile up when ending fails: oncall broker target ${resource.id} --check`,
  });
}

export async function countEphemeralRoles(session: TargetSession): Promise<number> {
  const [row] = await session.query<{ count: number }>(
    'select count(*)::int as count from pg_roles where rolname ~ $1',
    [HANDLE_PATTERN],
  );
  return row?.count ?? 0;
}
