/**
 * A process of its own around the keychain: an unlock prompt that nobody answers blocks the native call for ever, and with
 * it the process, `process.exit` included. The parent kills this one. One JSON question on stdin, one JSON answer on
 * stdout; secrets never in arguments.
 */
import { readFileSync, writeSync } from 'node:fs';
import { Entry } from '@napi-rs/keyring';

interface Question {
  op: 'get' | 'set' | 'delete';
  service: string;
  account: string;
  secret?: string;
}

function answer({ op, service, account, secret }: Question): string | null {
  // Unpinned, it would fall back to the kernel keyring, which forgets at reboot.
  const entry = new Entry(service, account, { linux: { store: 'secret-service' } });
  if (op === 'get') return entry.getPassword();
  if (op === 'set') entry.setPassword(secret ?? '');
  else entry.deletePassword();
  return null;
}

function reply(): { secret: string | null } | { error: string } {
  try {
    return { secret: answer(JSON.parse(readFileSync(0, 'utf8'))) };
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

// Without streams and promises: every command waits for this process. The answer is short, so a pipe takes it whole.
writeSync(1, JSON.stringify(reply()));
