/**
 * The ssh sessions that are open here and began with a certificate, and their end. sshd says at the login which process it is that
 * leads the session; from then on the session is that process, until it is gone. Whoever gets its number later began later.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { LoginRecord, OpenSession } from '../protocol/messages.ts';
import { isSame, lookAt, type ProcessMark, signalProcess, startOf, treeOf } from './processes.ts';

export interface Session extends ProcessMark, OpenSession {}

export interface Sessions {
  /** Those that are open now. */
  list(): readonly Session[];
  /** A login that sshd has just told of, said by this process. */
  began(login: LoginRecord, pid: number): void;
  /** Ends all that began with one of these certificates, and answers how many that was. */
  end(over: readonly OpenSession[]): Promise<number>;
}

/** OpenSSH up to 9.7, and from then on. */
const NAMES: readonly string[] = ['sshd', 'sshd-session'];
const CLOCK_SLACK_MS = 2_000;
const GENTLE_MS = 1_000;
const MOST_ROUNDS = 10;

export function createSessions(known: readonly Session[]): Sessions {
  let open = [...known];

  function list(): readonly Session[] {
    open = open.filter(isSame);
    return open;
  }

  return {
    list,
    began({ identity, serial, at }, pid) {
      const leader = lookAt(pid);
      if (leader === undefined || !NAMES.includes(leader.name)) return;
      // A log that is read late: the number may be another connection's by now, which began after what was said.
      if (startOf(leader) > Date.parse(at) + CLOCK_SLACK_MS) return;
      const session = { pid, startTicks: leader.startTicks, identity, serial };
      open = [...open.filter((other) => other.pid !== pid), session];
    },
    async end(over) {
      const ended = list().filter((session) =>
        over.some(({ identity, serial }) => identity === session.identity && serial === session.serial),
      );
      await Promise.all(ended.map(endTree));
      return ended.length;
    },
  };
}

/** What the person runs is stopped first, so that it starts nothing more, and killed; sshd is asked to end, and so closes its books. */
async function endTree(root: ProcessMark): Promise<void> {
  const stopped = new Set<number>();
  for (let round = 0; round < MOST_ROUNDS; round += 1) {
    const news = treeOf(root).filter(({ pid, name }) => !NAMES.includes(name) && !stopped.has(pid));
    if (news.length === 0) break;
    for (const { pid } of news) {
      signalProcess(pid, 'SIGSTOP');
      stopped.add(pid);
    }
  }
  const tree = treeOf(root);
  for (const { pid, name } of tree) signalProcess(pid, NAMES.includes(name) ? 'SIGTERM' : 'SIGKILL');
  for (let waited = 0; waited < GENTLE_MS && tree.some(isSame); waited += 50) await delay(50);
  for (const each of tree) if (isSame(each)) signalProcess(each.pid, 'SIGKILL');
}
