/** What prompts and completion read without asking anybody: copies of what the broker has said, which it says again when asked. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { NAME_LISTS } from '../../client/completion-names.ts';
import { readStatusFile } from '../../client/status-file.ts';
import { isAppError } from '../../protocol/errors.ts';
import { relativeTime } from '../times.ts';
import { type Check, type Unwell, warned, well } from './check.ts';
import type { Facts } from './facts.ts';

const REFRESH = 'oncall status --refresh';

export const STATUS: Check = {
  name: 'status',
  async look(facts) {
    const [{ paths }] = [await facts.place(), await facts.config()];
    try {
      const status = readStatusFile(paths);
      if (status === undefined) return [warned('there is none yet', REFRESH, refreshing(facts))];
      const heard = relativeTime(Date.parse(status.brokerContactAt), facts.context.now());
      return [well(`as of ${heard}`)];
    } catch (error) {
      if (!isAppError(error, 'corrupt_file')) throw error;
      return [warned(error.message, REFRESH, refreshing(facts))];
    }
  },
};

export const NAMES: Check = {
  name: 'names',
  async look(facts) {
    const [{ paths }] = [await facts.place(), await facts.config()];
    const missing = NAME_LISTS.filter((list) => !existsSync(join(paths.completeDir, list)));
    if (missing.length === 0) return [well(`shells complete them from ${paths.completeDir}`)];
    return [warned(`none to complete for ${missing.join(', ')}`, REFRESH, refreshing(facts))];
  },
};

function refreshing({ context }: Facts): NonNullable<Unwell['mend']> {
  return async () => {
    const { refreshStatus } = await import('../../client/refresh.ts');
    await refreshStatus(await context.client());
    return REFRESH;
  };
}
