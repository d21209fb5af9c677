import { readSafeFile } from '../client/files.ts';
import { AppError } from '../protocol/errors.ts';
import type { Context } from './context.ts';
import { askSecret, canAsk } from './prompt.ts';

/** A new passphrase: the content of ONCALL_PASSPHRASE_FILE, else asked for twice. Throws AppError `usage`. */
export async function newPassphrase({ env, io }: Context): Promise<string> {
  const file = env.ONCALL_PASSPHRASE_FILE;
  if (file) {
    const bytes = readSafeFile(file, { secret: true });
    return requireText(bytes?.toString('utf8').replace(/\r?\n$/, '') ?? '');
  }
  if (!canAsk(io)) {
    throw new AppError('usage', 'nobody can be asked for a passphrase here', {
      hint: 'set ONCALL_PASSPHRASE_FILE to a file that holds it',
    });
  }
  const passphrase = requireText(await askSecret(io, 'new passphrase of this device'));
  if ((await askSecret(io, 'the same again')) === passphrase) return passphrase;
  throw new AppError('usage', 'the two passphrases differ', { hint: 'try again' });
}

function requireText(passphrase: string): string {
  if (passphrase === '') throw new AppError('usage', 'the passphrase is empty', { hint: 'type a few words' });
  return passphrase;
}
