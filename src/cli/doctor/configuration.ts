import { existsSync } from 'node:fs';
import type { ClientPaths } from '../../client/paths.ts';
import { isAppError } from '../../protocol/errors.ts';
import { type Check, failed, quotedPath, well } from './check.ts';

/** Which profile this is, whose it is and at which broker. */
export const CONFIGURATION: Check = {
  name: 'configuration',
  reports: 'config',
  async look({ config, place }) {
    const { paths } = await place();
    try {
      const { user, broker } = await config();
      return [well(`${paths.configFile}: ${user} at ${broker}`)];
    } catch (error) {
      if (!isAppError(error, 'not_enrolled')) throw error;
      const again = existsSync(paths.enrollingFile);
      return [
        failed(
          again ? 'an enrolment was begun and not finished: the same invitation finishes it' : error.message,
          enrolLine(paths),
        ),
      ];
    }
  },
};

/** Where everything lies: reported once, not by each check that looks there. */
export const HOME: Check = {
  name: 'home',
  reports: 'place',
  async look({ place }) {
    const { paths } = await place();
    return [well(`profile ${paths.profile}, state in ${paths.stateDir}`)];
  },
};

/** For a device whose keys are gone, or that the broker does not take any more. */
export function enrolAgain(paths: ClientPaths): string {
  return `rm ${quotedPath(paths.configFile)} && ${enrolLine(paths)}`;
}

function enrolLine({ profile }: ClientPaths): string {
  return `oncall ${profile === 'default' ? '' : `--profile ${profile} `}enroll "<invitation>"`;
}
