import { randomBytes } from 'node:crypto';

/** 32 of 62 characters: 190 bits. */
const LENGTH = 32;
const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** 32 letters and digits: nothing to escape anywhere. Bytes beyond a multiple of 62 are dropped, so all are as likely. */
export function createPassword(): string {
  let password = '';
  while (password.length < LENGTH) {
    for (const byte of randomBytes(LENGTH)) {
      if (byte < 248 && password.length < LENGTH) password += ALPHABET[byte % 62];
    }
  }
  return password;
}
