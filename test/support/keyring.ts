// A real Secret Service of a test's own: a private D-Bus session, gnome-keyring on it, and a HOME of their own. The bus
// starts no service by itself, else `org.freedesktop.secrets` would be activated where a test wants none.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { requirePart } from './parts.ts';
import { cleanEnvironment, startProcess, type TestProcess } from './process.ts';
import { tempDir } from './temp.ts';

const PASSWORD = 'the login keyring of a test';

export interface TestKeyring {
  /** The whole environment of a child process: a clean one with HOME, the XDG folders and the bus. */
  env: Record<string, string>;
  home: string;
  /** Freezes the keyring: calls to it get no answer, as with a prompt that nobody sees. Does nothing where there is none. */
  pause(): void;
  resume(): void;
  stop(): Promise<void>;
}

/** A keyring that is unlocked, or one that exists and is locked, with nobody to ask for its password. */
export async function startKeyring({ unlock }: { unlock: boolean }): Promise<TestKeyring> {
  const session = await startBus();
  // The first unlock makes the login keyring; a wrong password later leaves it locked.
  let daemon = await startDaemon(session.env, PASSWORD);
  if (!unlock) {
    await daemon.stop();
    daemon = await startDaemon(session.env, 'not the password');
  }
  return {
    env: session.env,
    home: session.home,
    pause: () => daemon.pause(),
    resume: () => daemon.resume(),
    async stop() {
      await daemon.stop();
      await session.bus.stop();
    },
  };
}

/** A D-Bus session without a Secret Service. */
export async function startBusWithoutKeyring(): Promise<TestKeyring> {
  const { env, home, bus } = await startBus();
  return { env, home, pause() {}, resume() {}, stop: async () => void (await bus.stop()) };
}

/** No D-Bus session at all, as over SSH or in a container. */
export function withoutBus(): TestKeyring {
  const { env, home } = makeSession();
  return { env, home, pause() {}, resume() {}, stop: async () => {} };
}

function makeSession(): { env: Record<string, string>; home: string; runtime: string } {
  const home = tempDir();
  const folders = {
    XDG_CONFIG_HOME: join(home, '.config'),
    XDG_DATA_HOME: join(home, '.local', 'share'),
    XDG_STATE_HOME: join(home, '.local', 'state'),
    XDG_CACHE_HOME: join(home, '.cache'),
    XDG_RUNTIME_DIR: join(home, 'run'),
  };
  for (const folder of Object.values(folders)) mkdirSync(folder, { recursive: true, mode: 0o700 });
  return { env: { ...cleanEnvironment(home), ...folders }, home, runtime: folders.XDG_RUNTIME_DIR };
}

async function startBus(): Promise<{ env: Record<string, string>; home: string; bus: TestProcess }> {
  requirePart('keyring');
  const { env, home, runtime } = makeSession();
  const address = `unix:path=${join(runtime, 'bus')}`;
  const configFile = join(home, 'bus.conf');
  writeFileSync(
    configFile,
    `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
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
`,
  );
  const options = { env, input: '' };
  const bus = startProcess(
    'dbus-daemon',
    [`--config-file=${configFile}`, '--nofork', '--print-address=1'],
    options,
  );
  await bus.waitForOutput('unix:path=');
  return { env: { ...env, DBUS_SESSION_BUS_ADDRESS: address }, home, bus };
}

async function startDaemon(env: Record<string, string>, password: string): Promise<TestProcess> {
  const args = ['--foreground', '--unlock', '--components=secrets'];
  const daemon = startProcess('gnome-keyring-daemon', args, { env, input: password });
  const name = 'org.freedesktop.secrets';
  const wait = startProcess('gdbus', ['wait', '--session', '--timeout', '10', name], { env, input: '' });
  const { code } = await wait.ended;
  if (code !== 0) throw new Error(`gnome-keyring did not come up:\n${daemon.output()}${wait.output()}`);
  return daemon;
}
