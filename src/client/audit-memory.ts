/**
 * What this device has seen of the broker's audit log: the newest checkpoint and every receipt. The log can then not be
 * rewritten or shown differently to two people without this file contradicting it. An answer is passed on only after its
 * proof has been checked against what was seen before.
 */
import { join } from 'node:path';
import { type Checkpoint, parseCheckpoint, verifyCheckpoint } from '../audit/checkpoint.ts';
import { verifyConsistency } from '../audit/proof.ts';
import { parseReceipt, verifyReceipt } from '../audit/receipt.ts';
import { AppError, isAppError } from '../protocol/errors.ts';
import { rawPublicKey } from '../protocol/keys.ts';
import type { AuditProof, CheckpointReply } from '../protocol/messages.ts';
import { formatInstant } from '../protocol/time.ts';
import type { ClientConfig } from './config.ts';
import { readSafeFile } from './files.ts';
import { prepareLocks, withLock } from './lock.ts';
import type { ClientPaths } from './paths.ts';
import { writeFileAtomic, writeFiles } from './write-files.ts';

const TELL_SECURITY = 'tell your security team; oncall help files says where the evidence lies';

const LOCK_TIMEOUT_MS = 10_000;
/** How often two commands that raced may be overtaken by the growing log before their checkpoints meet in one. */
const MEETINGS = 8;

/** The newest checkpoint at one moment. */
export interface Seen {
  readonly note: string | undefined;
  readonly size: number;
}

export interface AuditMemory {
  /** Loads what {@link remember} needs. */
  prepare(): void;
  /** What the next request says it has seen. */
  seen(): Promise<Seen>;
  /**
   * Checks the proof of a change that was asked for with `since` in hand, and remembers it. Throws AppError
   * `log_inconsistent` (the contradiction is kept in a file that the message names) or `audit_invalid` (not what the broker
   * signed); then the answer must not be used.
   */
  remember(proof: AuditProof, since: Seen): Promise<void>;
  /**
   * Asks for the newest checkpoint, checks that it continues what was seen, and remembers it. Answers the sizes before and after.
   * Throws like {@link remember}.
   */
  advance(): Promise<{ readonly from: number; readonly to: number }>;
}

export interface AuditMemoryInput {
  readonly paths: ClientPaths;
  readonly trust: Pick<ClientConfig, 'identityKey' | 'logKey' | 'origin'>;
  readonly now: () => number;
  /** Asks the broker for its newest checkpoint and the proof from `size` on. */
  readonly fetchCheckpoint: (size: number) => Promise<CheckpointReply>;
}

interface Head {
  readonly note: string;
  readonly checkpoint: Checkpoint;
}

export function createAuditMemory({ paths, trust, now, fetchCheckpoint }: AuditMemoryInput): AuditMemory {
  const log = { origin: trust.origin, publicKey: rawPublicKey(trust.logKey) };

  async function seen(): Promise<Seen> {
    const note = readSafeFile(paths.checkpointFile)?.toString('utf8');
    return note === undefined ? { note, size: 0 } : { note, size: readHead(note).checkpoint.size };
  }

  /** Our own file; damaged, it must not pass for "nothing seen yet". */
  function readHead(note: string): Head {
    try {
      return { note, checkpoint: parseCheckpoint(note) };
    } catch (cause) {
      throw new AppError('corrupt_file', `${paths.checkpointFile} is damaged`, {
        hint: 'restore it from a backup, or move it away to begin again without a memory of the audit log',
        cause,
      });
    }
  }

  /** `note` as the successor of `older`; all three parts are attacker-controlled. */
  async function extend(
    older: string | undefined,
    note: string,
    consistency: readonly string[],
  ): Promise<Head> {
    const checkpoint = verifyCheckpoint(note, log);
    if (older === undefined) return { note, checkpoint };
    const from = readHead(older).checkpoint;
    await orKeepEvidence({ older, newer: note, consistency }, () =>
      verifyConsistency({
        fromSize: from.size,
        toSize: checkpoint.size,
        fromRoot: from.rootHash,
        toRoot: checkpoint.rootHash,
        proof: consistency.map((hash) => Buffer.from(hash, 'base64')),
      }),
    );
    return { note, checkpoint };
  }

  /**
   * Another command moved our memory while this one waited for its answer. Both heads began where we were; they are linked by
   * going on from the older one until the paths meet.
   */
  async function link(a: Head, b: Head): Promise<Head> {
    let [older, newer] = inOrder(a, b);
    for (let meeting = 0; meeting < MEETINGS; meeting++) {
      if (older.checkpoint.size === newer.checkpoint.size) {
        await extend(older.note, newer.note, []);
        return newer;
      }
      const reply = await fetchCheckpoint(older.checkpoint.size);
      [older, newer] = inOrder(newer, await extend(older.note, reply.checkpoint, reply.consistency));
    }
    const never = new AppError('log_inconsistent', 'two checkpoints of the audit log never met', {
      hint: TELL_SECURITY,
    });
    return orKeepEvidence({ older: older.note, newer: newer.note, consistency: [] }, () => {
      throw never;
    });
  }

  async function orKeepEvidence<T>(evidence: object, check: () => T): Promise<T> {
    try {
      return check();
    } catch (error) {
      if (!isAppError(error, 'log_inconsistent')) throw error;
      const at = formatInstant(now());
      const path = join(paths.evidenceDir, `${at.replace(/[^0-9TZ]/g, '')}.json`);
      await writeFileAtomic(
        path,
        `${JSON.stringify({ at, problem: error.message, ...evidence }, null, 2)}\n`,
      );
      throw new AppError(
        'log_inconsistent',
        `the audit log of the broker contradicts what was seen before: ${error.message}`,
        {
          hint: `tell your security team, and give them ${path}`,
          cause: error,
          details: { evidence: path },
        },
      );
    }
  }

  return {
    seen,
    prepare: prepareLocks,
    async advance() {
      const since = await seen();
      const { checkpoint, consistency } = await fetchCheckpoint(since.size);
      const { note, checkpoint: newest } = await extend(since.note, checkpoint, consistency);
      await withLock(
        paths.auditLock,
        async () => {
          // Another command may have come further meanwhile: what it has seen stays.
          if (newest.size > (await seen()).size) await writeFileAtomic(paths.checkpointFile, note);
        },
        { timeoutMs: LOCK_TIMEOUT_MS },
      );
      return { from: since.size, to: newest.size };
    },
    async remember({ receipt, checkpoint, consistency }, since) {
      const parsed = parseReceipt(receipt);
      verifyReceipt(parsed, rawPublicKey(trust.identityKey));
      const head = await extend(since.note, checkpoint, consistency);
      if (parsed.origin !== trust.origin || parsed.index >= head.checkpoint.size) {
        throw new AppError('audit_invalid', 'the receipt is not for an entry of this audit log', {
          hint: TELL_SECURITY,
        });
      }
      await withLock(
        paths.auditLock,
        async () => {
          const current = await seen();
          const isMoved = current.note !== undefined && current.note !== since.note;
          const newest = isMoved ? await link(head, readHead(current.note)) : head;
          const name = `${String(parsed.index).padStart(12, '0')}.json`;
          await writeFiles([
            { path: join(paths.receiptsDir, name), data: `${JSON.stringify(parsed)}\n` },
            ...(newest.note === current.note ? [] : [{ path: paths.checkpointFile, data: newest.note }]),
          ]);
        },
        { timeoutMs: LOCK_TIMEOUT_MS },
      );
    },
  };
}

function inOrder(a: Head, b: Head): [Head, Head] {
  return a.checkpoint.size <= b.checkpoint.size ? [a, b] : [b, a];
}
