// A real Secret Service of our own, where its programs are installed: a private D-Bus session with gnome-keyring on it.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findCommand } from '../support/machine-parts.ts';
import { atEnd, makeFolder } from './cleanup.ts';
import { type Environment, plainEnvironment } from './process-times.ts';

const PROGRAMS = ['dbus-daemon', 'gnome-keyring-daemon', 'gdbus'];
const START_MS = 10_000;

/** Nothing may activate a service by itself on this bus: what answers on it is what we started. */
const busConfig = (
  address: string,
) => `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>${address}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
`;

/** The environment in which `oncall` finds the unlocked keyring, or why there is none. */
export async function startKeyring(): Promise<{ env: Environment } | { missing: string }> {
  const absent = PROGRAMS.filter((name) => findCommand(name) === undefined);
  if (absent.length > 0) return { missing: `${absent.join(', ')} not installed` };
  const home = makeFolder('keyring');
  const runtime = join(home, 'run');
  mkdirSync(runtime, { mode: 0o700 });
  const address = `unix:path=${join(runtime, 'bus')}`;
  const configFile = join(home, 'bus.conf');
  writeFileSync(configFile, busConfig(address), { mode: 0o600 });
  const env = plainEnvironment({ HOME: home, XDG_RUNTIME_DIR: runtime, DBUS_SESSION_BUS_ADDRESS: address });
  for (const name of ['XDG_DATA_HOME', 'XDG_CONFIG_HOME', 'XDG_STATE_HOME', 'XDG_CACHE_HOME'])
    delete (env as Record<string, unknown>)[name];

  start('dbus-daemon', [`--config-file=${configFile}`, '--nofork'], env);
  if (!(await isOnBus('org.freedesktop.DBus', env))) return { missing: 'the D-Bus session does not start' };
  const daemon = start('gnome-keyring-daemon', ['--foreground', '--unlock', '--components=secrets'], env);
  await new Promise<void>((written) => daemon.stdin?.end('the login keyring of the bench', written));
  return (await isOnBus('org.freedesktop.secrets', env))
    ? { env }
    : { missing: 'gnome-keyring does not start' };
}

/** Asks until the name is there: the bus itself may still be starting. */
async function isOnBus(name: string, env: Environment): Promise<boolean> {
  const ask = ['wait', '--session', '--timeout', '1', name];
  for (const deadline = performance.now() + START_MS; performance.now() < deadline; await delay(20)) {
    if (spawnSync('gdbus', ask, { env: { ...env }, stdio: 'ignore' }).status === 0) return true;
  }
  return false;
}

function start(command: string, args: readonly string[], env: Environment): ChildProcess {
  const child = spawn(command, [...args], { env: { ...env }, stdio: ['pipe', 'ignore', 'ignore'] });
  const gone = new Promise<void>((done) => {
    child.once('exit', () => done());
    child.once('error', () => done());
  });
  child.stdin?.on('error', () => {});
  atEnd(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  return child;
}
