/** Which ephemeral accounts a server has. Those of other installations stand as theirs in the table beside the accounts. */
import type { Resource } from '../catalogue/types.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import { type Found, SURVEY_LIMIT, type Survey } from './issuer.ts';
import type { MariadbTargets, Row } from './mariadb-connection.ts';

export function surveyAccounts(
  targets: MariadbTargets,
  resource: Resource,
  installation: string,
  signal: AbortSignal,
): Promise<Survey> {
  return targets.use(resource, signal, async ({ call }) => {
    const rows = await call('survey', installation, SURVEY_LIMIT + 1);
    return {
      persists: true,
      found: rows.slice(0, SURVEY_LIMIT).map(toFound),
      isComplete: rows.length <= SURVEY_LIMIT,
    };
  });
}

/** `expiresAtMs`: MariaDB itself never refuses the account: this is when the event drops it. */
function toFound({ name, until_ms, made_by, about }: Row): Found {
  return {
    handle: String(name),
    isOurs: made_by !== null,
    expiresAtMs: typeof until_ms === 'number' ? until_ms : undefined,
    note: escapeForTerminal(String(about ?? '')).slice(0, 500),
  };
}
