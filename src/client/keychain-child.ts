/**
 * A process of its own around the keychain: an unlock prompt that nobody answers blocks the native call for ever, and with
 * it the process, `process.exit` included. The parent kills this one. One JSON question on stdin, one JSON answer on
 * stdout; secrets never in arguments.
 */
import { once } from 'node:events';
import { AsyncEntry } from '@napi-rs/keyring';

interface Question {
  op: 'get' | 'set' | 'delete';
  service: string;
  account: string;
  secret?: string;
}

async function answer({ op, service, account, secret }: Question): Promise<string | null> {
  // Unpinned, it would fall back to the kernel keyring, which forgets at reboot.
  const entry = new AsyncEntry(service, account, { linux: { store: 'secret-service' } });
  if (op === 'get') return entry.getPassword();
  if (op === 'set') await entry.setPassword(secret ?? '');
  else await entry.deletePassword();
  return null;
}

async function main(): Promise<void> {
  let input = '';
  process.stdin.setEncoding('utf8');
  process.stdin.on('data', (chunk: string) => {
    input += chunk;
  });
  await once(process.stdin, 'end');
  let reply: { secret: string | null } | { error: string };
  try {
    reply = { secret: await answer(JSON.parse(input)) };
  } catch (error) {
    reply = { error: error instanceof Error ? error.message : String(error) };
  }
  process.stdout.write(JSON.stringify(reply));
}

void main();
