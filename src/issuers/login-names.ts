/**
 * Names of logins that end: `oncall_<user>_<19 characters of the credential's id>`. The user's part is for people who read
 * a list of sessions; what makes a name unique, and never used twice, is the id.
 */
import { AppError } from '../protocol/errors.ts';
import { isId } from '../protocol/ids.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import type { CredentialSubject } from './issuer.ts';

/** PostgreSQL cuts identifiers at 63 bytes: `oncall_` + 36 + `_` + 19. MariaDB takes 80 characters. */
const SLUG_LENGTH = 36;

/** The same pattern for JavaScript, for PostgreSQL's `~` and for MariaDB's `regexp`. */
export const HANDLE_PATTERN = '^oncall_[a-z0-9_]{1,36}_[0-9a-hjkmnp-tv-z]{19}$';
const HANDLE = new RegExp(HANDLE_PATTERN);

/** The same subject always gets the same name. Throws AppError `internal` for a credential id that is not one. */
export function chooseLoginName({ credentialId, user }: CredentialSubject): string {
  if (!isId(credentialId)) throw new AppError('internal', 'not a credential id');
  return loginName(user, credentialId.slice(-19));
}

/** A name that `unique` (19 characters of our base 32) makes unique. */
export function loginName(user: string, unique: string): string {
  const slug = user
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '_')
    .slice(0, SLUG_LENGTH)
    .replace(/^_+|_+$/g, '');
  return `oncall_${slug || 'user'}_${unique}`;
}

export function isLoginName(text: string): boolean {
  return HANDLE.test(text);
}

/** In what {@link describeLogin} makes, the name of the installation: for PostgreSQL's `substring(… from …)`. */
export const INSTALLATION_PATTERN = '^oncall grant gr_[0-9a-hjkmnp-tv-z]{19}, broker ([^ ,]+), ';

/** Nothing but logins that the issuers name may ever be altered or dropped, whatever a row in the store says. */
export function requireLoginName(handle: string): string {
  if (!isLoginName(handle)) throw new AppError('internal', 'not the name of an ephemeral login');
  return handle;
}

/**
 * What the target itself says about a login, so that its admin finds the grant, and the installation that made it. One line, at
 * most 500 characters.
 */
export function describeLogin(
  { grantId, user, role, resource, incident }: CredentialSubject,
  installation: string,
): string {
  const text = `oncall grant ${grantId}, broker ${installation}, user ${user}, role ${resource.id}:${role}, incident ${incident ?? '-'}`;
  return escapeForTerminal(text).slice(0, 500);
}

export function goneError(name: string, cause?: unknown): AppError {
  return new AppError('ended', `the target no longer has the login ${name}`, { cause });
}
