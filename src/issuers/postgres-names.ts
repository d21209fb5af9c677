/**
 * Names of ephemeral roles: `oncall_<user>_<19 characters of the credential's id>`. The user's part is for people who read
 * pg_stat_activity; what makes a name unique, and never used twice, is the id.
 */
import { AppError } from '../protocol/errors.ts';
import { isId } from '../protocol/ids.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import type { CredentialSubject } from './issuer.ts';

/** PostgreSQL cuts identifiers at 63 bytes: `oncall_` + 36 + `_` + 19. */
const SLUG_LENGTH = 36;

/** The same pattern for JavaScript and for PostgreSQL's `~`. */
export const HANDLE_PATTERN = '^oncall_[a-z0-9_]{1,36}_[0-9a-hjkmnp-tv-z]{19}$';
const HANDLE = new RegExp(HANDLE_PATTERN);

/** The same subject always gets the same name. Throws AppError `internal` for a credential id that is not one. */
export function chooseRoleName({ credentialId, user }: CredentialSubject): string {
  if (!isId(credentialId)) throw new AppError('internal', 'not a credential id');
  return roleName(user, credentialId.slice(-19));
}

/** A name that `unique` (19 characters of our base 32) makes unique. */
export function roleName(user: string, unique: string): string {
  const slug = user
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .slice(0, SLUG_LENGTH)
    .replace(/^_+|_+$/g, '');
  return `oncall_${slug || 'user'}_${unique}`;
}

/** In what {@link describeLogin} makes, the name of the installation: for PostgreSQL's `substring(… from …)`. */
export const INSTALLATION_PATTERN = '^oncall grant gr_[0-9a-hjkmnp-tv-z]{19}, broker ([^ ,]+), ';

/** Nothing but roles that this issuer names may ever be altered or dropped, whatever a row in the store says. */
export function requireRoleName(handle: string): string {
  if (!HANDLE.test(handle)) throw new AppError('internal', 'not the name of an ephemeral role');
  return handle;
}

/**
 * What COMMENT ON ROLE says, so that a database's admin finds the grant, and the installation that made it. One line, at most
 * 500 characters.
 */
export function describeLogin(
  { grantId, user, role, resource, incident }: CredentialSubject,
  installation: string,
): string {
  const text = `oncall grant ${grantId}, broker ${installation}, user ${user}, role ${resource.id}:${role}, incident ${incident ?? '-'}`;
  return escapeForTerminal(text).slice(0, 500);
}
