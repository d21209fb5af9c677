import { describe, expect, test } from 'vitest';
import { MAX_LINE_BYTES, parseHeader, readLines, writeExport } from '../../src/audit/export.ts';
import { sampleLog } from './sample-log.ts';

const invalid = { code: 'audit_invalid' };

async function* inChunks(bytes: Uint8Array, length: number) {
  for (let start = 0; start < bytes.length; start += length) yield bytes.subarray(start, start + length);
}

async function linesOf(bytes: Uint8Array, chunkLength = 65_536): Promise<string[]> {
  const lines: string[] = [];
  for await (const line of readLines(inChunks(bytes, chunkLength))) lines.push(line);
  return lines;
}

describe('reading lines', () => {
  test('gives the same lines however the file is cut into chunks', async () => {
    const expected = await (await sampleLog(8)).log.lines();
    const bytes = Buffer.from(`${expected.join('\n')}\n`);
    for (const length of [1, 2, 3, 7, 100, bytes.length])
      expect(await linesOf(bytes, length)).toEqual(expected);
  });

  test('keeps empty lines, a byte order mark and a last line without its newline', async () => {
    expect(await linesOf(Buffer.from('a\n\n\ufeffb'))).toEqual(['a', '', '\ufeffb']);
    expect(await linesOf(Buffer.from(''))).toEqual([]);
  });

  test('stops at a line over the bound, before it holds more than that', async () => {
    const longest = Buffer.concat([Buffer.alloc(MAX_LINE_BYTES, 'x'), Buffer.from('\n')]);
    expect((await linesOf(longest))[0]!.length).toBe(MAX_LINE_BYTES);
    let given = 0;
    const endless = (async function* () {
      for (;;) {
        given += 65_536;
        yield Buffer.alloc(65_536, 'x');
      }
    })();
    await expect(readLines(endless).next()).rejects.toMatchObject(invalid);
    expect(given).toBeLessThanOrEqual(MAX_LINE_BYTES + 65_536);
  });

  test('refuses what is not UTF-8', async () => {
    await expect(linesOf(Buffer.from('610aff0a', 'hex'))).rejects.toMatchObject(invalid);
  });
});

describe('writing', () => {
  test('asks for the checkpoint only when all rows are out', async () => {
    const seen: string[] = [];
    const header = { origin: 'o', logPublicKey: 'a', identityPublicKey: 'b' };
    const rows = (function* () {
      yield { entry: '{}', leafHash: 'x' };
      seen.push('rows');
    })();
    const lines: string[] = [];
    for await (const line of writeExport(header, rows, () => `after ${seen}`)) lines.push(line);
    expect(lines.at(-1)).toBe('{"checkpoint":"after rows"}\n');
    expect(parseHeader(lines[0])).toEqual(header);
  });
});

describe('a header', () => {
  test.each([
    ['missing', undefined],
    ['empty', ''],
    ['of another version', '{"oncallAudit":2,"origin":"o","logPublicKey":"a","identityPublicKey":"b"}'],
    [
      'with an unknown member',
      '{"oncallAudit":1,"origin":"o","logPublicKey":"a","identityPublicKey":"b","x":1}',
    ],
    ['without keys', '{"oncallAudit":1,"origin":"o"}'],
  ])('that is %s is no header', (_, line) => {
    expect(() => parseHeader(line)).toThrow(expect.objectContaining(invalid));
  });
});
