/** Whether this device could get in without a broker, and whether anybody has tried. */
import { readStatusFile } from '../../client/status-file.ts';
import { formatTarget } from '../../protocol/names.ts';
import { bothTimes, relativeTime } from '../times.ts';
import { type Check, failed, warned, well } from './check.ts';

const REFRESH = 'oncall status --refresh';

export const PACKS: Check = {
  name: 'packs',
  async look(facts) {
    const [{ paths }] = [await facts.place(), await facts.config()];
    const now = facts.context.now();
    const { breakGlass, warnings } = readStatusFile(paths) ?? { breakGlass: undefined, warnings: [] };
    const good = (breakGlass?.packs ?? []).filter(({ endsAt }) => Date.parse(endsAt) > now);
    if (breakGlass?.broken) return [failed(`the journal: ${breakGlass.broken}`, 'oncall reviews list')];
    if (good.length > 0)
      return good.map(({ target, issuedAt, endsAt }) =>
        well(
          `${formatTarget(target)}: of ${relativeTime(Date.parse(issuedAt), now)}, covers until ${bothTimes(endsAt, now)}`,
        ),
      );
    const missing = warnings.filter((text) => text.includes('break-glass pack'));
    return missing.length === 0
      ? [well('none, and the broker misses none')]
      : missing.map((text) => warned(text, REFRESH));
  },
};

export const DRILL: Check = {
  name: 'drill',
  async look(facts) {
    const [{ paths }] = [await facts.place(), await facts.config()];
    const said = (readStatusFile(paths)?.warnings ?? []).filter((text) => text.includes('break-glass drill'));
    return said.length === 0
      ? [well('as the broker sees it, none is due')]
      : said.map((text) => warned(text, 'oncall drill'));
  },
};
