// The broker and the devices of the demo: our own command line, on a fresh folder.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findFreePort } from '../support/postgres-server.ts';
import { ask, atEnd, background, detail, OPERATOR, oncall, show } from './stage.ts';

export interface Broker {
  directory: string;
  url: string;
  /** SIGKILL, as a machine that loses its power. */
  kill(): Promise<void>;
}

/** `secrets` by the name of their file. */
export async function startBroker(
  folder: string,
  catalogue: string,
  secrets: Readonly<Record<string, string>>,
): Promise<Broker> {
  const directory = join(folder, 'broker');
  const port = await findFreePort();
  const url = `https://localhost:${port}`;
  const places = ['--public-url', url, '--listen', `127.0.0.1:${port}`];
  await oncall(OPERATOR, ['broker', 'init', directory, '--admin', 'dora', ...places], { quiet: true });
  mkdirSync(join(directory, 'secrets'), { mode: 0o700 });
  for (const [name, secret] of Object.entries(secrets))
    writeFileSync(join(directory, 'secrets', name), secret, { mode: 0o600 });
  writeFileSync(join(directory, 'catalogue.yaml'), catalogue, { mode: 0o600 });
  await oncall(OPERATOR, ['broker', 'check', directory]);
  const broker: Broker = { directory, url, kill: async () => {} };
  await serve(broker);
  return broker;
}

export async function serve(broker: Broker): Promise<void> {
  const words = ['broker', 'serve', broker.directory];
  show(words);
  const serving = background(OPERATOR, words);
  broker.kill = serving.kill;
  await serving.sees('"serving"');
  detail(`serving at ${broker.url}`);
}

/** With the keychain where there is one; where there is none, says so and uses a file. */
export async function enroll({ directory }: Broker, person: string): Promise<void> {
  const { url } = await ask<{ url: string }>(OPERATOR, ['broker', 'invite', person, '--dir', directory]);
  const shown = ['enroll', `${url.slice(0, url.indexOf('#') + 6)}…`];
  const { code } = await oncall(person, ['enroll', url, '--keystore', 'keychain'], {
    quiet: true,
    codes: Array.from({ length: 10 }, (_, i) => i),
  });
  if (code === 0) {
    show(shown, person);
    // The keychain is the user's own: what the demo put there must not stay.
    atEnd(() => revokeDevice(person));
    return;
  }
  show([...shown, '--keystore', 'file'], person);
  if (person === 'dora') detail(`no keychain here (exit ${code}): the demo keeps keys in a file`);
  await oncall(person, ['enroll', url, '--keystore', 'file'], { quiet: true });
}

async function revokeDevice(person: string): Promise<void> {
  const { device } = await ask<{ device: { id: string } }>(person, ['whoami']);
  await oncall(person, ['devices', 'revoke', device.id], { quiet: true });
}
