// What this machine can do by itself: the figures that the ratios stand beside.
import { generateKeyPairSync, randomBytes, sign, verify } from 'node:crypto';
import { closeSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { loadavg } from 'node:os';
import { join } from 'node:path';
import { openDatabase } from '../../src/store/sqlite-connection.ts';
import { atEnd, makeFolder } from './cleanup.ts';
import { plainEnvironment, runNode } from './process-times.ts';
import type { Section } from './report.ts';
import { median, timePerCall } from './statistics.ts';

export interface Calibration {
  /** Milliseconds each. */
  readonly nodeMs: number;
  readonly fsyncMs: number;
  /** The smallest durable transaction: one row. */
  readonly commitMs: number;
  readonly signMs: number;
  readonly verifyMs: number;
}

const STARTS = 15;

export async function calibrate(): Promise<Calibration> {
  const env = plainEnvironment();
  const starts = Array.from({ length: STARTS }, () => runNode(['-e', '0'], env).ms);
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const message = randomBytes(512);
  const signature = sign(null, message, privateKey);
  return {
    nodeMs: median(starts),
    fsyncMs: timeFsync(),
    commitMs: timePerCall(await openDurableCommit()),
    signMs: timePerCall(() => sign(null, message, privateKey)),
    verifyMs: timePerCall(() => verify(null, message, publicKey, signature)),
  };
}

function timeFsync(): number {
  const file = openSync(join(makeFolder('fsync'), 'file'), 'w', 0o600);
  const page = randomBytes(4096);
  try {
    return timePerCall(() => {
      writeSync(file, page);
      fsyncSync(file);
    });
  } finally {
    closeSync(file);
  }
}

/** With the store's own settings, and without the store: no queries but the insert of one row. */
export async function openDurableCommit(): Promise<() => void> {
  const database = await openDatabase(join(makeFolder('commit'), 'file.db'));
  atEnd(() => database.close());
  for (const setting of ['journal_mode = wal', 'synchronous = full', 'fullfsync = on'])
    database.pragma(setting);
  database.exec('create table entries (number integer primary key, entry text) strict');
  const insert = database.prepare('insert into entries (entry) values (?)');
  const entry = randomBytes(300).toString('base64');
  return () => {
    database.exec('begin immediate');
    insert.run([entry]);
    database.exec('commit');
  };
}

export function calibrationSection({ nodeMs, fsyncMs, commitMs, signMs, verifyMs }: Calibration): Section {
  return {
    title: 'this machine',
    rows: [
      { name: 'node -e 0', value: nodeMs, unit: 'ms' },
      { name: 'write 4 KiB, fsync', value: fsyncMs, unit: 'ms' },
      { name: 'one-row SQLite transaction, durable', value: commitMs, unit: 'ms' },
      { name: 'Ed25519 signature', value: signMs * 1000, unit: 'µs' },
      { name: 'Ed25519 verification', value: verifyMs * 1000, unit: 'µs' },
    ],
    notes: [
      'medians; the folder for temporary files holds what is written here',
      `load average ${loadavg()[0]?.toFixed(1)}: above the number of cores, all that takes long looks slower than it is`,
    ],
  };
}
