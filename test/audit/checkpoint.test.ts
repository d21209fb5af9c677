import { createPrivateKey, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { formatCheckpoint, parseCheckpoint, verifyCheckpoint } from '../../src/audit/checkpoint.ts';
import { formatKeyName, signNote, verifyNote } from '../../src/audit/signed-note.ts';
import { rawPublicKey } from '../../src/protocol/keys.ts';
import { ed25519, noteSigner, ORIGIN } from './sample-log.ts';

const invalid = expect.objectContaining({ code: 'audit_invalid' });
const key = ed25519();
const publicKey = rawPublicKey(key.publicKey);
const trusted = { origin: ORIGIN, publicKey };
const rootHash = Buffer.alloc(32, 7);
const note = formatCheckpoint({ origin: ORIGIN, size: 5, rootHash }, noteSigner(key));

describe('the example of the reference implementation (golang.org/x/mod/sumdb/note)', () => {
  const text =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
  const signed = `${text}\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n`;
  // After the algorithm byte 1: the raw public key, and the seed of the private one.
  const rawPublic = Buffer.from('ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW', 'base64').subarray(1);
  const seed = Buffer.from('AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz', 'base64').subarray(1);

  test('is signed to the same bytes', () => {
    const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]);
    const privateKey = createPrivateKey({ key: pkcs8, format: 'der', type: 'pkcs8' });
    const signer = {
      name: 'PeterNeumann',
      publicKey: rawPublic,
      sign: (message: Uint8Array) => sign(null, message, privateKey),
    };
    expect(signNote(text, signer)).toBe(signed);
  });

  test('verifies', () => {
    expect(verifyNote(signed, { name: 'PeterNeumann', publicKey: rawPublic })).toBe(text);
    expect(formatKeyName({ name: 'PeterNeumann', publicKey: rawPublic })).toBe('PeterNeumann+c74f20a3');
    expect(() => verifyNote(signed, { name: 'EnochRoot', publicKey: rawPublic })).toThrow(invalid);
    expect(() => verifyNote(signed, { name: 'PeterNeumann', publicKey })).toThrow(invalid);
  });
});

describe('a checkpoint', () => {
  test('comes back as it was signed', () => {
    expect(verifyCheckpoint(note, trusted)).toEqual({ origin: ORIGIN, size: 5, rootHash });
    expect(parseCheckpoint(note)).toEqual({ origin: ORIGIN, size: 5, rootHash });
    expect(note.split('\n').slice(0, 4)).toEqual([ORIGIN, '5', rootHash.toString('base64'), '']);
  });

  test('is refused with any one character changed', () => {
    for (let i = 0; i < note.length; i++) {
      const forged = `${note.slice(0, i)}${note[i] === 'A' ? 'B' : 'A'}${note.slice(i + 1)}`;
      expect(() => verifyCheckpoint(forged, trusted), `character ${i}`).toThrow(invalid);
    }
  });

  test('is refused from another key or for another log', () => {
    expect(() =>
      verifyCheckpoint(note, { ...trusted, publicKey: rawPublicKey(ed25519().publicKey) }),
    ).toThrow(invalid);
    expect(() => verifyCheckpoint(note, { ...trusted, origin: 'staging.example.com/audit' })).toThrow(
      invalid,
    );
    const other = signNote(`other.example.com/audit\n5\n${rootHash.toString('base64')}\n`, noteSigner(key));
    expect(() => verifyCheckpoint(other, trusted)).toThrow(invalid);
  });

  test('may carry the signatures of witnesses, which prove nothing alone', () => {
    const witness = noteSigner(ed25519(), 'witness.example.org');
    const text = note.slice(0, note.indexOf('\n\n') + 1);
    const cosignature = signNote(text, witness).slice(text.length + 1);
    expect(verifyCheckpoint(note + cosignature, trusted).size).toBe(5);
    expect(verifyCheckpoint(`${text}\n${cosignature}${note.slice(text.length + 1)}`, trusted).size).toBe(5);
    expect(() => verifyCheckpoint(`${text}\n${cosignature}`, trusted)).toThrow(invalid);
  });

  test('with a good and a bad signature of the same key is refused', () => {
    const line = note.slice(note.lastIndexOf('\n\n') + 2);
    const bytes = Buffer.from(line.trim().split(' ')[2]!, 'base64');
    bytes[10]! ^= 1;
    const forged = `— ${ORIGIN} ${bytes.toString('base64')}\n`;
    expect(() => verifyCheckpoint(note + forged, trusted)).toThrow(invalid);
  });

  test.each([
    ['a size with a leading zero', `${ORIGIN}\n05\n${rootHash.toString('base64')}\n`],
    ['a negative size', `${ORIGIN}\n-5\n${rootHash.toString('base64')}\n`],
    ['a size beyond exact numbers', `${ORIGIN}\n9007199254740993\n${rootHash.toString('base64')}\n`],
    ['a short root', `${ORIGIN}\n5\n${rootHash.subarray(1).toString('base64')}\n`],
    ['a root in base64url', `${ORIGIN}\n5\n${Buffer.alloc(32, 255).toString('base64url')}\n`],
    ['no root', `${ORIGIN}\n5\n`],
    ['no origin', `\n5\n${rootHash.toString('base64')}\n`],
  ])('properly signed but with %s is refused', (_, text) => {
    expect(() => verifyCheckpoint(signNote(text, noteSigner(key)), trusted)).toThrow(invalid);
  });

  test.each([
    ['nothing', ''],
    ['no signature', note.slice(0, note.indexOf('\n\n') + 2)],
    ['no last newline', note.slice(0, -1)],
    ['carriage returns', note.replaceAll('\n', '\r\n')],
    ['a control character', note.replace('\n5\n', '\n5\u001b\n')],
    ['megabytes', note.repeat(10_000)],
  ])('as %s is refused', (_, text) => {
    expect(() => verifyCheckpoint(text, trusted)).toThrow(invalid);
    expect(() => parseCheckpoint(text)).toThrow(invalid);
  });

  test('is never signed for nonsense', () => {
    const sound = { origin: ORIGIN, size: 5, rootHash };
    expect(() => formatCheckpoint({ ...sound, size: -1 }, noteSigner(key))).toThrow(invalid);
    expect(() => formatCheckpoint({ ...sound, rootHash: Buffer.alloc(20) }, noteSigner(key))).toThrow(
      invalid,
    );
    expect(() => formatCheckpoint(sound, noteSigner(key, 'else'))).toThrow();
    expect(() => signNote('x\n', noteSigner(key, 'two words'))).toThrow();
  });
});
