import { describe, expect, test } from 'vitest';
import { createReceipt, parseReceipt, verifyReceipt } from '../../src/audit/receipt.ts';
import { canonicalJson } from '../../src/protocol/canonical-json.ts';
import { rawPublicKey } from '../../src/protocol/keys.ts';
import { ed25519, noteSigner, ORIGIN } from './sample-log.ts';

const invalid = expect.objectContaining({ code: 'audit_invalid' });
const key = ed25519();
const publicKey = rawPublicKey(key.publicKey);
const promise = { origin: ORIGIN, index: 7, leafHash: Buffer.alloc(32, 9), at: '2026-01-02T02:14:00.000Z' };
const receipt = createReceipt(promise, noteSigner(key).sign);

describe('a receipt', () => {
  test('verifies after a trip through JSON', () => {
    verifyReceipt(parseReceipt(JSON.parse(JSON.stringify(receipt))), publicKey);
  });

  test('is refused from another broker, and with any member changed', () => {
    expect(() => verifyReceipt(receipt, rawPublicKey(ed25519().publicKey))).toThrow(invalid);
    for (const forged of [
      { ...receipt, origin: 'other.example.com/audit' },
      { ...receipt, index: 8 },
      { ...receipt, leafHash: Buffer.alloc(32, 8).toString('base64url') },
      { ...receipt, at: '2026-01-02T02:14:00.001Z' },
      { ...receipt, signature: Buffer.alloc(64).toString('base64url') },
    ]) {
      expect(() => verifyReceipt(forged, publicKey)).toThrow(invalid);
    }
  });

  test('is not a signature of the same JSON for another purpose', () => {
    const { signature: _signature, ...unsigned } = receipt;
    const bare = noteSigner(key).sign(Buffer.from(canonicalJson(unsigned)));
    const forged = { ...receipt, signature: Buffer.from(bare).toString('base64url') };
    expect(() => verifyReceipt(forged, publicKey)).toThrow(invalid);
  });

  test.each([
    ['null', null],
    ['a list', [receipt]],
    ['an unknown member', { ...receipt, extra: 1 }],
    ['a missing member', { ...receipt, at: undefined }],
    ['a negative index', { ...receipt, index: -1 }],
    ['an index in text', { ...receipt, index: '7' }],
    ['a time that does not exist', { ...receipt, at: '2026-02-30T00:00:00.000Z' }],
    ['a short hash', { ...receipt, leafHash: 'AAAA' }],
    ['a padded signature', { ...receipt, signature: `${receipt.signature}==` }],
  ])('with %s is refused', (_, value) => {
    expect(() => parseReceipt(value)).toThrow(invalid);
  });
});
