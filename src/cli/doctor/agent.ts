import { closeSync, lstatSync, rmSync } from 'node:fs';
import { isOurs } from '../../client/agent-line.ts';
import { findSocket } from '../../client/agent-socket.ts';
import type { ClientContext } from '../../client/context.ts';
import { loadLocks, openLockFile } from '../../client/lock.ts';
import { type Check, type Finding, failed, quotedPath, warned, well } from './check.ts';

/** None is fine: commands start one when there is something to keep. */
export const AGENT: Check = {
  name: 'agent',
  reports: 'agent',
  async look({ place, config, agent }) {
    const client = await place();
    const socket = findSocket(client.paths, client.env);
    const greeting = await agent();
    if (greeting === undefined) return silent(client, socket);
    if (client.agent === undefined)
      return [warned(`runs as ${greeting.pid}, but is switched off here`, 'oncall agent stop')];
    if (greeting.version !== client.agent.version) {
      return [
        warned(
          `runs as ${greeting.pid} in version ${greeting.version}: the next command replaces it`,
          'oncall agent stop',
        ),
      ];
    }
    // Whose configuration cannot be read has been said.
    const own = await config().catch(() => undefined);
    if (own !== undefined && !isOurs(greeting, client, own)) {
      return [warned(`runs as ${greeting.pid} for what this device was before`, 'oncall agent stop')];
    }
    if (!greeting.holdsKey) {
      return [
        warned(`runs as ${greeting.pid} and waits for the keys of this device`, 'oncall status --refresh'),
      ];
    }
    return [well(`runs as ${greeting.pid}`)];
  },
};

/** Nobody answers: because nobody is there, or because whoever is there hangs. */
async function silent(client: ClientContext, socket: string | undefined): Promise<Finding[]> {
  const off = client.agent === undefined ? ', and is switched off here' : '';
  if (socket === undefined) return [well(`none runs${off}`)];
  const isLeft = lstatSync(socket, { throwIfNoEntry: false }) !== undefined;
  if (!isLeft) return [well(`none runs${off}`)];
  if (await alone(client, () => {})) {
    const mend = async () => {
      // The lock says that nobody is behind it, and that nobody comes while it goes.
      await alone(client, () => rmSync(socket, { force: true }));
      return `removed ${socket}`;
    };
    return [
      warned(`none runs${off}; one that was killed has left its socket`, `rm ${quotedPath(socket)}`, mend),
    ];
  }
  return [
    failed(
      'one runs that does not answer',
      'oncall agent stop; where that waits in vain, oncall agent logs names its process',
    ),
  ];
}

/** Whether no agent is there; `work` is done while none can begin to be. */
async function alone({ paths }: ClientContext, work: () => void): Promise<boolean> {
  if (lstatSync(paths.agentLock, { throwIfNoEntry: false }) === undefined) {
    work();
    return true;
  }
  const locks = await loadLocks();
  const file = openLockFile(paths.agentLock);
  try {
    if (!locks.tryLock(file)) return false;
    work();
    return true;
  } finally {
    closeSync(file);
  }
}
