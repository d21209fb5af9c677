/** What we run on: Node, and the native part that came with the package. */
import { loadLocks } from '../../client/lock.ts';
import { compareVersions, version } from '../../protocol/version.ts';
import { nodeVersion } from '../io.ts';
import { type Check, failed, well } from './check.ts';

/** `engines` of package.json. */
const OLDEST_NODE = '20.19.0';

export const INSTALLATION: Check = {
  name: 'oncall',
  async look() {
    const running = `${version} on node ${nodeVersion}`;
    if ((compareVersions(nodeVersion, OLDEST_NODE) ?? 0) < 0) {
      return [failed(`${running}, which is too old`, `install node ${OLDEST_NODE} or newer`)];
    }
    try {
      await loadLocks();
    } catch {
      const fix = `npm install --global --ignore-scripts oncall@${version}`;
      return [failed(`${running}: its native part for file locks does not load`, fix)];
    }
    return [well(running)];
  },
};
