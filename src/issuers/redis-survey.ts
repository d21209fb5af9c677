/** Which ephemeral users a server has. Those of other installations say so in the words that every login of ours carries. */
import type { Resource } from '../catalogue/types.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import { type Found, SURVEY_LIMIT, type Survey } from './issuer.ts';
import { isLoginName } from './login-names.ts';
import type { RedisTargets } from './redis-connection.ts';
import { KEY_PREFIX } from './redis-login.ts';

const WORDS = new RegExp(
  ` \\(~${KEY_PREFIX}until=(\\d{1,15}):broker=([A-Za-z0-9_.%-]+):grant=([A-Za-z0-9_.%-]+):incident=([A-Za-z0-9_.%-]+) `,
);

export function surveyUsers(
  targets: RedisTargets,
  resource: Resource,
  installation: string,
  signal: AbortSignal,
): Promise<Survey> {
  return targets.use(resource, signal, async (session) => {
    const lines = (await session.command('ACL', 'LIST')) as readonly string[];
    const found = lines
      .flatMap((line) => readLine(line, installation) ?? [])
      .sort((one, other) => (one.handle < other.handle ? -1 : 1));
    return {
      persists: true,
      found: found.slice(0, SURVEY_LIMIT),
      isComplete: found.length <= SURVEY_LIMIT,
    };
  });
}

/** `user NAME on #hash … (~oncall:until=… resetchannels -@all)`. Undefined for another's, or a user that is not of ours. */
function readLine(line: string, installation: string): Found | undefined {
  const [, handle = ''] = line.split(' ');
  if (!isLoginName(handle)) return undefined;
  const words = WORDS.exec(line);
  if (!words) return { handle, isOurs: false, expiresAtMs: undefined, note: '' };
  const [until, broker = '', grant = '', incident = ''] = words.slice(1);
  if (decode(broker) !== installation) return undefined;
  return {
    handle,
    isOurs: true,
    // Redis itself never refuses it: this is when the reaper drops it.
    expiresAtMs: Number(until),
    note: escapeForTerminal(`oncall grant ${decode(grant)}, incident ${decode(incident)}`).slice(0, 500),
  };
}

/** What does not decode was not written by us: as it stands. */
function decode(word: string): string {
  try {
    return decodeURIComponent(word);
  } catch {
    return word;
  }
}
