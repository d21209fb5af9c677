import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { formatCheckpoint } from '../../src/audit/checkpoint.ts';
import { type AuditEntry, encodeEntry } from '../../src/audit/entry.ts';
import type { EvidenceOptions } from '../../src/audit/evidence.ts';
import { MAX_LINE_BYTES } from '../../src/audit/export.ts';
import { leafHash } from '../../src/audit/merkle.ts';
import { createReceipt } from '../../src/audit/receipt.ts';
import { MAX_PROBLEMS } from '../../src/audit/report.ts';
import { verifyExport } from '../../src/audit/verify.ts';
import {
  alice,
  bob,
  CODE,
  ed25519,
  enrolled,
  enrolment,
  noteSigner,
  ORIGIN,
  SampleLog,
  sampleLog,
  signedRequest,
  stream,
} from './sample-log.ts';

const COUNT = 20;
const { log, keys } = await sampleLog(COUNT);
const lines = await log.lines();
const HEADER = 1;
const LAST = lines.length - 1;

const verify = (changed: readonly string[], options: EvidenceOptions = {}) =>
  verifyExport(stream(changed), { ...log.pins, ...options });

/** The kinds and places of what was found. */
async function found(changed: readonly string[], options: EvidenceOptions = {}) {
  const { problems } = await verify(changed, options);
  return problems.map(({ index, kind }) => ({ index, kind }));
}

const lineOf = (entry: AuditEntry, hash = leafHash(encodeEntry(entry))) =>
  `{"entry":${Buffer.from(encodeEntry(entry)).toString()},"leafHash":"${Buffer.from(hash).toString('base64url')}"}`;
const entryAt = (index: number): AuditEntry => JSON.parse(lines[HEADER + index]!).entry;
const replaced = (index: number, ...by: string[]) => lines.toSpliced(HEADER + index, 1, ...by);
const edit = (index: number, change: object) =>
  replaced(index, lineOf({ ...entryAt(index), ...change }, leafHash(encodeEntry(entryAt(index)))));
const forge = (index: number, change: object) => replaced(index, lineOf({ ...entryAt(index), ...change }));

describe('a sound log', () => {
  test('verifies, and says what it could not check', async () => {
    const report = await verify(lines);
    expect(report).toMatchObject({
      entries: COUNT,
      problems: [],
      truncation: 'not checkable',
      logKey: 'pinned',
      rootHash: log.checkpoint().split('\n')[2],
    });
    expect((await verifyExport(stream(lines))).logKey).toBe('from the file');
  });

  test('verifies against every checkpoint and receipt it ever gave', async () => {
    const receipts = log.entries.map((_, index) => log.receipt(index));
    for (let size = 0; size <= COUNT; size++) {
      const report = await verify(lines, { receipts, checkpoint: log.checkpoint(size) });
      expect(report).toMatchObject({ problems: [], truncation: 'checked' });
    }
  });

  test('may be empty', async () => {
    const empty = new SampleLog();
    const options = { ...empty.pins, checkpoint: empty.checkpoint() };
    const report = await verifyExport(stream(await empty.lines()), options);
    expect(report).toMatchObject({ entries: 0, problems: [], truncation: 'checked' });
  });
});

describe('one change of the file is found where it is:', () => {
  const indexes = fc.integer({ min: 2, max: COUNT - 1 });

  test('an entry edited under its old leaf hash, and nothing else is blamed', async () => {
    for (let index = 5; index < COUNT; index++) {
      expect(await found(edit(index, { data: 'other' }))).toEqual([{ index, kind: 'edited' }]);
      expect(await found(edit(index, { index: index + 3 }))).toEqual([{ index, kind: 'edited' }]);
    }
  });

  test('an entry dropped', async () => {
    for (let index = 5; index < COUNT; index++) {
      expect(await found(replaced(index))).toEqual([{ index, kind: 'dropped' }]);
    }
    expect(await found(lines.toSpliced(HEADER + 7, 6))).toEqual([{ index: 7, kind: 'dropped' }]);
  });

  test('two neighbours swapped', async () => {
    for (let index = 5; index < COUNT - 1; index++) {
      expect(
        await found(replaced(index + 1).toSpliced(HEADER + index, 0, lines[HEADER + index + 1]!)),
      ).toEqual([{ index, kind: 'reordered' }]);
    }
  });

  test('an entry moved up, or down', async () => {
    const up = replaced(15).toSpliced(HEADER + 6, 0, lines[HEADER + 15]!);
    expect(await found(up)).toEqual([{ index: 6, kind: 'reordered' }]);
    const down = lines.toSpliced(HEADER + 16, 0, lines[HEADER + 6]!).toSpliced(HEADER + 6, 1);
    expect(await found(down)).toEqual([{ index: 6, kind: 'reordered' }]);
  });

  test('an entry repeated', async () => {
    expect(await found(replaced(9, lines[HEADER + 9]!, lines[HEADER + 9]!))).toEqual([
      { index: 9, kind: 'reordered' },
    ]);
  });

  test('white space, another order of members, a member given twice', async () => {
    const line = lines[HEADER + 6]!;
    const { entry, leafHash: hash } = JSON.parse(line);
    for (const other of [
      line.replace('"v":1', '"v": 1'),
      JSON.stringify({ leafHash: hash, entry }),
      line.replace('"data":{', '"data":{"number":1,'),
      line.replace('–', '\\u2013'),
    ]) {
      expect(await found(replaced(6, other))).toEqual([{ index: 6, kind: 'not-canonical' }]);
    }
  });

  test('any one bit of any entry line', async () => {
    await fc.assert(
      fc.asyncProperty(indexes, fc.nat(), async (index, seed) => {
        const bytes = Buffer.from(lines[HEADER + index]!);
        bytes[seed % bytes.length]! ^= 1 << (Math.floor(seed / bytes.length) % 7);
        const problems = await found(replaced(index, bytes.toString()));
        expect(problems[0]).toMatchObject({ index });
      }),
      { numRuns: 300 },
    );
  });
});

describe('lines that are no entries', () => {
  test.each([
    ['nothing', ''],
    ['half a line', lines[HEADER + 6]!.slice(0, 50)],
    ['null', 'null'],
    ['a list', '[]'],
    ['an entry without its leaf hash', `{"entry":${Buffer.from(encodeEntry(entryAt(6)))}}`],
    ['an unknown member', lines[HEADER + 6]!.replace('{"entry"', '{"a":1,"entry"')],
    ['nesting without end', `{"entry":{"data":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`],
    [
      'an entry nested deeper than the stack',
      lines[HEADER + 6]!.replace(/"data":\{.*?\}/, `"data":${'['.repeat(100_000)}${']'.repeat(100_000)}`),
    ],
    ['a number beyond a double', lines[HEADER + 6]!.replace('"number":6', '"number":1e999')],
    ['a lone surrogate', lines[HEADER + 6]!.replace('ü', '\\ud800')],
    ['too many bytes', lines[HEADER + 6]!.replace('ü', 'ü'.repeat(MAX_LINE_BYTES / 2))],
  ])('%s is named malformed, once', async (_, line) => {
    expect(await found(replaced(6, line))).toEqual([{ index: 6, kind: 'malformed' }]);
  });

  test('stand after the checkpoint: named', async () => {
    expect(await found([...lines, lines[HEADER + 6]!])).toEqual([{ index: 6, kind: 'malformed' }]);
    expect(await found([...lines, lines[LAST]!])).toEqual([{ index: null, kind: 'malformed' }]);
  });

  test('no export at all is refused', async () => {
    await expect(verify([])).rejects.toMatchObject({ code: 'audit_invalid' });
    await expect(verify(lines.slice(1))).rejects.toMatchObject({ code: 'audit_invalid' });
  });

  test('a file of garbage is not read to its end', async () => {
    let given = 0;
    const garbage = (async function* () {
      yield lines[0]!;
      for (; ; given++) yield 'x';
    })();
    const report = await verifyExport(garbage, log.pins);
    expect(report.problems).toHaveLength(MAX_PROBLEMS);
    expect(given).toBeLessThanOrEqual(MAX_PROBLEMS);
  });
});

describe('an entry rewritten together with its leaf hash', () => {
  test('breaks the checkpoint, and a receipt names it', async () => {
    const forged = forge(8, { data: 'other' });
    expect(await found(forged)).toEqual([{ index: null, kind: 'checkpoint-mismatch' }]);
    const receipts = [log.receipt(7), log.receipt(8), log.receipt(9)];
    expect(await found(forged, { receipts })).toEqual([
      { index: 8, kind: 'receipt-mismatch' },
      { index: null, kind: 'checkpoint-mismatch' },
    ]);
  });

  test('in a log that renumbered everything after it, and signed that, is shown by what was kept outside', async () => {
    const rewritten = new SampleLog(log.logKey, log.identityKey);
    for (const entry of log.entries.filter(({ index }) => index !== 10)) {
      const { index: _index, at: _at, ...draft } = entry;
      rewritten.add(draft);
    }
    const file = await rewritten.lines();
    expect(await found(file)).toEqual([]);
    expect(await found(file, { checkpoint: log.checkpoint(15) })).toEqual([
      { index: null, kind: 'checkpoint-mismatch' },
    ]);
    expect(await found(file, { checkpoint: log.checkpoint(10) })).toEqual([]);
    expect(await found(file, { receipts: [log.receipt(9), log.receipt(12)] })).toEqual([
      { index: 12, kind: 'receipt-mismatch' },
    ]);
  });
});

describe('truncation', () => {
  const cut = lines.slice(0, HEADER + 12);

  test('of the tail is shown by the checkpoint line, of the checkpoint line by its absence', async () => {
    expect(await found([...cut, lines[LAST]!])).toEqual([{ index: 12, kind: 'dropped' }]);
    expect(await found(cut)).toEqual([{ index: 12, kind: 'malformed' }]);
  });

  test('under an older checkpoint of the log takes an outside checkpoint, or a receipt', async () => {
    const older = [...cut, JSON.stringify({ checkpoint: log.checkpoint(12) })];
    expect(await verify(older)).toMatchObject({ problems: [], truncation: 'not checkable' });
    expect(await found(older, { checkpoint: log.checkpoint(13) })).toEqual([{ index: 12, kind: 'dropped' }]);
    expect(await found(older, { receipts: [log.receipt(17)] })).toEqual([{ index: 17, kind: 'dropped' }]);
    expect(await verify(older, { checkpoint: log.checkpoint(12) })).toMatchObject({
      problems: [],
      truncation: 'checked',
    });
  });

  test('the other way round: entries that no checkpoint covers are named', async () => {
    const uncovered = lines.toSpliced(LAST, 1, JSON.stringify({ checkpoint: log.checkpoint(12) }));
    expect(await found(uncovered)).toEqual([{ index: 12, kind: 'checkpoint-mismatch' }]);
  });
});

describe('keys and evidence of someone else', () => {
  test('a log made up whole under its own keys passes no pin', async () => {
    const forger = await sampleLog(COUNT);
    const file = await forger.log.lines();
    expect(await verifyExport(stream(file))).toMatchObject({ problems: [], logKey: 'from the file' });
    expect((await found(file)).map(({ kind }) => kind)).toEqual([
      'checkpoint-mismatch',
      'receipt-mismatch',
      'checkpoint-mismatch',
    ]);
    const dressed = [lines[0]!, ...file.slice(1)];
    expect(await found(dressed)).toEqual([{ index: null, kind: 'checkpoint-mismatch' }]);
  });

  test('an outside checkpoint by another key checks nothing, and is named', async () => {
    const other = new SampleLog();
    const report = await verify(lines, { checkpoint: other.checkpoint() });
    expect(report.truncation).toBe('not checkable');
    expect(report.problems).toMatchObject([{ index: null, kind: 'checkpoint-mismatch' }]);
    expect(await found(lines, { checkpoint: 'no checkpoint' })).toEqual([
      { index: null, kind: 'checkpoint-mismatch' },
    ]);
  });

  test('a forged receipt and one of another log accuse nobody but themselves', async () => {
    const byOther = new SampleLog(log.logKey, ed25519());
    byOther.entries.push(...log.entries);
    const { sign } = noteSigner(log.identityKey);
    const hash = leafHash(encodeEntry(entryAt(9)));
    const elsewhere = { origin: 'staging.example.com/audit', index: 9, leafHash: hash, at: entryAt(9).at };
    const receipts = [byOther.receipt(8), createReceipt(elsewhere, sign)];
    expect(await found(lines, { receipts })).toEqual([
      { index: 8, kind: 'receipt-mismatch' },
      { index: 9, kind: 'receipt-mismatch' },
    ]);
  });

  test('a checkpoint of the empty log has to have its root', async () => {
    const note = { origin: ORIGIN, size: 0, rootHash: Buffer.alloc(32) };
    expect(await found(lines, { checkpoint: formatCheckpoint(note, noteSigner(log.logKey)) })).toEqual([
      { index: null, kind: 'checkpoint-mismatch' },
    ]);
  });

  test('keys that are no keys verify nothing', async () => {
    for (const logPublicKey of ['', 'ed25519:AAAA', `x25519:${'A'.repeat(43)}`]) {
      expect(await found(lines, { logPublicKey })).toContainEqual({
        index: null,
        kind: 'checkpoint-mismatch',
      });
    }
  });
});

describe('embedded requests', () => {
  const bad = [{ index: 3, kind: 'bad-signature' }];

  /** A log that its broker wrote and signed with this in place of entry 3: nothing but the embedded request is wrong. */
  async function foundWith(change: Partial<AuditEntry>, at = 3) {
    const other = new SampleLog(log.logKey, log.identityKey);
    for (const entry of log.entries) {
      const { index, at: _at, ...draft } = entry;
      other.add(index === at ? { ...draft, ...change } : draft);
    }
    return found(await other.lines());
  }

  test('of which anything was changed are bad', async () => {
    const embedded = entryAt(3).embedded!;
    const { 'idempotency-key': _key, ...fewer } = embedded.headers;
    for (const change of [
      { method: 'PUT' },
      { authority: 'evil.example.com' },
      { path: '/v1/grants' },
      { query: 'dry=yes' },
      { body: Buffer.from('{"targets":[{"resource":"db-primary"}]}').toString('base64url') },
      { body: null },
      { body: `${embedded.body}=` },
      { headers: fewer },
      { headers: {} },
      { headers: { ...embedded.headers, 'x-forwarded-for': '10.0.0.1' } },
      { headers: { ...embedded.headers, 'content-type': 'text/plain' } },
      { publicKey: ed25519().publicKey },
      { publicKey: 'no key' },
    ]) {
      expect(await foundWith({ embedded: { ...embedded, ...change } }), JSON.stringify(change)).toEqual(bad);
    }
  });

  test('of a device that the log did not enrol before are bad', async () => {
    const stranger = await signedRequest(ed25519(), { targets: [] });
    expect(await foundWith({ embedded: stranger })).toEqual(bad);
    expect(await foundWith({ event: 'device.renamed', embedded: entryAt(3).embedded }, 0)).toEqual([
      { index: 0, kind: 'bad-signature' },
      ...bad,
    ]);
  });

  test('whose signature names another key than the one that made it are bad', async () => {
    const embedded = await signedRequest(keys.alice, { targets: [] }, 1, keys.bob);
    expect(await foundWith({ embedded })).toEqual(bad);
  });

  test('of another person or device than the actor are bad', async () => {
    expect(await foundWith({ actor: bob })).toEqual(bad);
    expect(await foundWith({ actor: { ...alice, id: 'mallory' } })).toEqual(bad);
    expect(await foundWith({ actor: { ...alice, device: 'dev_bob' } })).toEqual(bad);
    expect(await foundWith({ actor: { kind: 'device', id: 'dev_bob' } })).toEqual(bad);
    expect(await foundWith({ actor: { kind: 'device', id: 'dev_alice' } })).toEqual([]);
    expect(await foundWith({ actor: { kind: 'broker', id: 'broker' } })).toEqual([]);
  });

  test('cannot be helped by enrolling a key or a device twice', async () => {
    const enrol = async (actor: typeof alice, key = ed25519()) => foundWith(await enrolled(actor, key), 2);
    const again = { index: 2, kind: 'bad-signature' };
    expect(await enrol(alice)).toEqual([again]);
    expect(await enrol({ kind: 'user', id: 'mallory', device: 'dev_m' }, keys.alice)).toEqual([again]);
    expect(await enrol({ kind: 'user', id: 'carol', device: 'dev_carol' })).toEqual([]);
    expect(await enrol({ kind: 'user', id: 'carol' })).toEqual([again]);
  });

  test('for enrolling prove nothing else, and others nothing about an enrolment', async () => {
    expect(await foundWith({ embedded: await enrolment(keys.alice) })).toEqual(bad);
    const request = await signedRequest(keys.alice, {});
    expect(await foundWith({ embedded: { ...request, body: null } })).toEqual(bad);
  });
});

describe('the proof of an enrolment', () => {
  const carol = ed25519();
  const actor = { kind: 'user', id: 'carol', device: 'dev_carol' } as const;
  const bad = [{ index: 0, kind: 'bad-signature' }];

  /** A log whose first entry enrols carol so; then she asks for something. */
  async function foundWith(change: Partial<AuditEntry>, signer = carol) {
    const other = new SampleLog(log.logKey, log.identityKey);
    other.add({ ...(await enrolled(actor, carol)), ...change });
    const embedded = await signedRequest(signer, { targets: [] }, 1);
    other.add({ event: 'request.created', actor, data: null, embedded });
    return found(await other.lines());
  }

  test('holds without the invitation’s code, which the log does not have', async () => {
    expect(await foundWith({})).toEqual([]);
    expect(lines.join('\n')).toContain('/v1/enroll');
    for (const encoding of ['utf8', 'base64url', 'base64', 'hex'] as const)
      expect(lines.join('\n')).not.toContain(Buffer.from(CODE).toString(encoding).replace(/=+$/, ''));
  });

  test('fails with another key, even one whose owner signed', async () => {
    const mallory = ed25519();
    expect(await foundWith({ data: { publicKey: mallory.publicKey } }, mallory)).toEqual(bad);
    expect(await foundWith({ embedded: await enrolment(mallory) })).toEqual(bad);
    const { headers } = await enrolment(mallory);
    const dressed = { ...(await enrolment(carol)), headers };
    expect(await foundWith({ embedded: dressed })).toEqual(bad);
  });

  test('fails with anything changed that was signed, or added that was not', async () => {
    const proof = await enrolment(carol);
    const { headers } = proof;
    const { 'content-digest': _digest, ...undigested } = headers;
    const flipped = headers.signature!.replace(/:(.)/, (_, first) => (first === 'A' ? ':B' : ':A'));
    const otherDigest = (await signedRequest(carol, {})).headers['content-digest']!;
    for (const change of [
      { method: 'PUT' },
      { authority: 'evil.example.com' },
      { path: '/v1/requests' },
      { query: 'a=b' },
      { body: '' },
      { body: Buffer.from('{}').toString('base64url') },
      { headers: undigested },
      { headers: {} },
      { headers: { ...headers, signature: flipped } },
      { headers: { ...headers, 'content-digest': otherDigest } },
      { headers: { ...headers, 'x-forwarded-for': '10.0.0.1' } },
    ])
      expect(await foundWith({ embedded: { ...proof, ...change } }), JSON.stringify(change)).toEqual(bad);
  });

  test('fails where it was taken out, or the signature was made for something else', async () => {
    expect(await foundWith({ embedded: undefined })).toEqual(bad);
    expect(await foundWith({ embedded: await enrolment(carol, 'oncall') })).toEqual(bad);
    expect(await foundWith({ embedded: await signedRequest(carol, {}) })).toEqual(bad);
  });
});

describe('several changes at once', () => {
  test('are all found, in the order of the log', async () => {
    const changed = edit(6, { data: 1 });
    changed.splice(HEADER + 12, 1);
    expect(await found(changed)).toEqual([
      { index: 6, kind: 'edited' },
      { index: 12, kind: 'dropped' },
    ]);
  });

  test('an entry moved up before a stretch that was cut is not taken for the end of the log', async () => {
    const kept = [0, 1, 2, 3, 4, 10, 5, 6].map((index) => lines[HEADER + index]!);
    expect(await found([lines[0]!, ...kept, lines[LAST]!])).toEqual([
      { index: 5, kind: 'reordered' },
      { index: 7, kind: 'dropped' },
      { index: 11, kind: 'dropped' },
    ]);
  });

  test('any shuffle of any part of the entries is never called sound', async () => {
    const order = fc.shuffledSubarray(Array.from({ length: COUNT }, (_, i) => i));
    await fc.assert(
      fc.asyncProperty(order, async (picked) => {
        fc.pre(picked.length < COUNT || picked.some((index, i) => index !== i));
        const changed = [lines[0]!, ...picked.map((index) => lines[HEADER + index]!), lines[LAST]!];
        const kinds = (await found(changed)).map(({ kind }) => kind);
        expect(kinds.some((kind) => kind === 'dropped' || kind === 'reordered')).toBe(true);
        expect(kinds.includes('dropped')).toBe(picked.length < COUNT);
      }),
      { numRuns: 300 },
    );
  });
});
