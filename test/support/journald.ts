// A real systemd-journald of a test's own: in a mount namespace where /run/systemd, /run/log and /dev are the test's, so
// that what runs in there and logs to syslog is in this journal and in no other. Root alone can make one.

import { spawnSync } from 'node:child_process';
import { requirePart } from './parts.ts';
import { startProcess } from './process.ts';
import { waitFor } from './temp.ts';

export interface TestJournal {
  /** Command and arguments before those of a program that shall run in there. */
  readonly inside: readonly string[];
  /** Begins new files; the old ones stay. */
  rotate(): void;
}

const NAMESPACE = `set -e
mount -t tmpfs tmpfs /run/log
mount -t tmpfs tmpfs /run/systemd
mkdir -p /run/systemd/journal /run/log/journal /run/systemd/dev/pts /run/systemd/dev/shm
cd /run/systemd/dev
for name in null zero full random urandom tty ptmx; do
  touch $name
  mount --bind /dev/$name $name
done
mount --rbind /dev/pts pts
ln -s /proc/self/fd fd
ln -s /proc/self/fd/0 stdin
ln -s /proc/self/fd/1 stdout
ln -s /proc/self/fd/2 stderr
ln -s /run/systemd/journal/dev-log log
mount --rbind /run/systemd/dev /dev
cd /
exec /lib/systemd/systemd-journald
`;

export async function startJournald(): Promise<TestJournal> {
  requirePart('journal');
  const journald = startProcess('unshare', ['--mount', 'sh', '-c', NAMESPACE], { input: '' });
  const inside = ['nsenter', `--mount=/proc/${journald.pid}/ns/mnt`, '--'];
  const [command = '', ...words] = inside;
  const listens = () => spawnSync(command, [...words, 'test', '-S', '/dev/log']).status === 0;
  await waitFor(() => listens() && journald.running, { what: `journald: ${journald.output()}` });
  return { inside, rotate: () => journald.kill('SIGUSR2') };
}
