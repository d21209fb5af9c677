// Whether the audit log's cost per entry stays the same as it grows: appending and offline verification at 10⁴ and 10⁶.
import { generateKeyPairSync, sign } from 'node:crypto';
import { closeSync, createReadStream, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { formatCheckpoint } from '../../src/audit/checkpoint.ts';
import { encodeEntry } from '../../src/audit/entry.ts';
import { readLines, writeExport } from '../../src/audit/export.ts';
import { appendLeaf, leafHash, treeRoot } from '../../src/audit/merkle.ts';
import { verifyExport } from '../../src/audit/verify.ts';
import { formatPublicKey, rawPublicKey } from '../../src/protocol/keys.ts';
import { formatInstant } from '../../src/protocol/time.ts';
import { NodeMemory } from './audit-nodes.ts';
import { makeFolder } from './cleanup.ts';
import type { Row, Section } from './report.ts';
import { median } from './statistics.ts';

const SMALL = 10_000;
const LARGE = 1_000_000;
/** Small logs are done in a moment: several, of which the first warms up. */
const SMALL_RUNS = 6;
/** More than this is not the same cost per entry any more. */
const LINEAR = 1.5;
const BATCH = 10_000;
const ORIGIN = 'bench.example.com/oncall';

/** Milliseconds an entry. */
interface Tenths {
  readonly firstMs: number;
  readonly lastMs: number;
}

interface Growth {
  /** Milliseconds an entry, as the median of batches: a cost that grows shows in it, what disturbs a few does not. */
  readonly appendMs: number;
  readonly verifyMs: number;
  /** Of its first and last tenth: growth within one log, whatever a longer run does to the machine. */
  readonly appendTenths: Tenths;
  readonly verifyTenths: Tenths;
}

export async function measureAuditGrowth(): Promise<Section> {
  const folder = makeFolder('audit');
  const runs: Growth[] = [];
  for (let run = 0; run < SMALL_RUNS; run += 1) runs.push(await measureLog(folder, SMALL));
  const counted = runs.slice(1);
  const small = {
    appendMs: median(counted.map(({ appendMs }) => appendMs)),
    verifyMs: median(counted.map(({ verifyMs }) => verifyMs)),
  };
  const large = await measureLog(folder, LARGE);
  const rows = (name: string, few: number, many: number, tenths: Tenths): Row[] => [
    { name: `${name}, 10⁴ entries`, value: few * 1000, unit: 'µs', note: 'an entry' },
    {
      name: `${name}, 10⁶ entries`,
      value: many * 1000,
      unit: 'µs',
      ratio: { value: many / few, to: 'an entry of 10⁴', target: LINEAR },
      note: 'an entry',
    },
    {
      name: `${name}, last tenth of 10⁶`,
      value: tenths.lastMs * 1000,
      unit: 'µs',
      ratio: { value: tenths.lastMs / tenths.firstMs, to: 'an entry of its first tenth' },
      note: 'an entry',
    },
  ];
  return {
    title: 'audit log: cost per entry as it grows',
    rows: [
      ...rows('append', small.appendMs, large.appendMs, large.appendTenths),
      ...rows('verify offline', small.verifyMs, large.verifyMs, large.verifyTenths),
    ],
    notes: [
      'append: canonical JSON, leaf hash, tree nodes; kept in memory, without the database and its commits',
      'verify: `oncall audit verify` on a file: read, parse, canonical form, hashes, root, checkpoint',
      'left out: embedded requests; each costs one more signature check than the entries here',
    ],
  };
}

async function measureLog(folder: string, entries: number): Promise<Growth> {
  const file = join(folder, `${entries}.jsonl`);
  const { appendBatches, logPublicKey } = await appendAll(file, entries);
  const batches: number[] = [];
  const report = await verifyExport(inBatches(readLines(createReadStream(file)), batches), { logPublicKey });
  if (report.entries !== entries || report.problems.length > 0)
    throw new Error(`the log of the bench does not verify: ${JSON.stringify(report)}`);
  rmSync(file);
  return {
    appendMs: median(appendBatches) / BATCH,
    verifyMs: median(batches) / BATCH,
    appendTenths: tenthsOf(appendBatches),
    verifyTenths: tenthsOf(batches),
  };
}

function tenthsOf(batches: readonly number[]): Tenths {
  const tenth = Math.ceil(batches.length / 10);
  return {
    firstMs: median(batches.slice(0, tenth)) / BATCH,
    lastMs: median(batches.slice(-tenth)) / BATCH,
  };
}

/** Passes lines on and notes how long each batch of them was in the reader's and the verifier's hands. */
async function* inBatches(lines: AsyncIterable<string>, batches: number[]): AsyncGenerator<string> {
  let started = performance.now();
  let count = 0;
  for await (const line of lines) {
    yield line;
    count += 1;
    if (count % BATCH !== 0) continue;
    batches.push(performance.now() - started);
    started = performance.now();
  }
}

/** Appends batch by batch; writing the export down in between is not timed. */
async function appendAll(
  file: string,
  entries: number,
): Promise<{ appendBatches: number[]; logPublicKey: string }> {
  const { privateKey } = generateKeyPairSync('ed25519');
  const logPublicKey = formatPublicKey(privateKey);
  const signer = {
    name: ORIGIN,
    publicKey: rawPublicKey(logPublicKey),
    sign: (message: Uint8Array) => sign(null, message, privateKey),
  };
  const tree = new NodeMemory(entries);
  const batches: number[] = [];

  async function* rows() {
    for (let from = 0; from < entries; from += BATCH) {
      const started = performance.now();
      const batch: { bytes: Uint8Array; leaf: Uint8Array }[] = [];
      for (let index = from; index < Math.min(from + BATCH, entries); index += 1) {
        const bytes = encodeEntry(entryAt(index));
        const leaf = leafHash(bytes);
        const { nodes } = await appendLeaf(tree.read, index, leaf);
        tree.insert(nodes);
        batch.push({ bytes, leaf });
      }
      batches.push(performance.now() - started);
      for (const { bytes, leaf } of batch) {
        yield {
          entry: Buffer.from(bytes).toString(),
          leafHash: Buffer.from(leaf).toString('base64url'),
        };
      }
    }
  }

  const output = openSync(file, 'wx', 0o600);
  try {
    const header = { origin: ORIGIN, logPublicKey, identityPublicKey: logPublicKey };
    const checkpoint = async () =>
      formatCheckpoint(
        { origin: ORIGIN, size: entries, rootHash: await treeRoot(tree.read, entries) },
        signer,
      );
    let lines: string[] = [];
    for await (const line of writeExport(header, rows(), checkpoint)) {
      if (lines.push(line) === BATCH) writeSync(output, lines.splice(0).join(''));
    }
    writeSync(output, lines.join(''));
    lines = [];
  } finally {
    closeSync(output);
  }
  return { appendBatches: batches, logPublicKey };
}

const START_MS = Date.UTC(2026, 0, 2, 2, 14);

/** What the broker writes when a credential has been issued. */
function entryAt(index: number) {
  return {
    v: 1 as const,
    index,
    at: formatInstant(START_MS + index * 100),
    event: 'credential.live',
    actor: { kind: 'broker' as const, id: 'broker' },
    subject: { credential: `cr_${index}`, grant: `gr_${index}`, handle: String(1_000_000_007 + index) },
    data: { expiresAt: formatInstant(START_MS + index * 100 + 300_000) },
  };
}
