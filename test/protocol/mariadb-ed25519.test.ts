import { createPublicKey, verify } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  answerMariadb,
  createMariadbVerifier,
  isMariadbVerifier,
} from '../../src/protocol/mariadb-ed25519.ts';
import { startMariadb } from '../support/mariadb-server.ts';
import { part } from '../support/parts.ts';

const PASSWORD = 'AbcdefghijklmnopqrstuvwxyZ012345';

describe('a mariadb verifier', () => {
  test.skipIf(!part('mariadb'))('is what the server itself makes of the password', async () => {
    const server = await startMariadb();
    await server.admin("INSTALL PLUGIN IF NOT EXISTS ed25519 SONAME 'auth_ed25519'");
    for (const password of [PASSWORD, '!"#$%&()*+,-./:;<=>?@[]^_`{|}~aA', 'z'.repeat(32)]) {
      await server.admin(`CREATE OR REPLACE USER probe IDENTIFIED VIA ed25519 USING PASSWORD('${password}')`);
      const stored = await server.admin(
        "SELECT JSON_VALUE(Priv, '$.authentication_string') FROM mysql.global_priv WHERE User = 'probe'",
      );
      expect(createMariadbVerifier(password)).toBe(stored);
      expect((await server.client({ user: 'probe', password }, "SELECT 'in'")).stdout).toBe('in\n');
    }
  });

  test('is for passwords of exactly 32 visible characters', () => {
    expect(createMariadbVerifier(PASSWORD)).toHaveLength(43);
    for (const password of ['', 'a'.repeat(31), 'a'.repeat(33), `${'a'.repeat(31)}é`, `${'a'.repeat(31)} `]) {
      expect(() => createMariadbVerifier(password)).toThrow('32 characters');
    }
  });

  test('is accepted in the exact form only', () => {
    const verifier = createMariadbVerifier(PASSWORD);
    expect(isMariadbVerifier(verifier)).toBe(true);
    // The last character of 32 bytes in base64 has two bits that are always zero.
    const loose = `${verifier.slice(0, 42)}${String.fromCharCode(verifier.charCodeAt(42) + 1)}`;
    for (const text of [
      `${verifier}=`,
      verifier.slice(1),
      `${verifier}\n`,
      `${verifier.slice(0, 42)}'`,
      loose,
      '',
    ]) {
      expect(isMariadbVerifier(text)).toBe(false);
    }
  });

  test('verifies the answer to the server’s random bytes', () => {
    const scramble = Buffer.alloc(32, 7);
    const x = Buffer.from(createMariadbVerifier(PASSWORD), 'base64').toString('base64url');
    const key = createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' });
    expect(verify(null, scramble, key, answerMariadb(PASSWORD, scramble))).toBe(true);
    expect(verify(null, Buffer.alloc(32, 8), key, answerMariadb(PASSWORD, scramble))).toBe(false);
  });
});
