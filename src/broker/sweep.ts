/**
 * What exists at the targets against what the store knows, one resource at a time, now and then. What the store knows to have
 * ended is ended again. What it does not know is told, never touched: it may be another's, or the store may have been put
 * back to an older state. And a login that should live and does not is ended here as well, so that its device gets another.
 */
import type { Logger } from 'pino';
import type { Resource } from '../catalogue/types.ts';
import type { Found, Issuer, Survey } from '../issuers/issuer.ts';
import type { Json } from '../protocol/canonical-json.ts';
import { isAppError } from '../protocol/errors.ts';
import { createId } from '../protocol/ids.ts';
import type { CredentialRow } from '../store/rows.ts';
import type { ReadTx, Store, Tx } from '../store/store.ts';
import { type Alarms, alarmId, type Trouble } from './alarms.ts';
import { type AuditLog, BROKER } from './audit-log.ts';
import { subjectOf } from './credential-subject.ts';
import type { Endings } from './endings.ts';
import type { CurrentRules } from './rules.ts';

export interface Sweep {
  /** Sees that every resource of the catalogue is looked at, from now on. */
  schedule(tx: Tx): Promise<void>;
  /** The timer of one resource. */
  sweep(resource: string, signal: AbortSignal): Promise<number | undefined>;
}

/** What is remembered of the looking, beside the polls of sources. */
export const LOGINS = 'logins';

const EVERY_MS = 600_000;
/** After a start there is more urgent work, and not all targets are looked at together. */
const FIRST_MS = 30_000;
const APART_MS = 1000;
const SOON_MS = 60_000;
/** Calls of one look at one target; the rest waits for the next look. */
const MOST_CALLS = 20;
const MOST = 5000;

export function createSweep(
  store: Store,
  rules: CurrentRules,
  deps: {
    issuers: ReadonlyMap<string, Issuer>;
    log: AuditLog;
    endings: Endings;
    alarms: Alarms;
    logger: Logger;
    random: () => number;
  },
): Sweep {
  const { issuers, log, endings, alarms, logger, random } = deps;

  return {
    async schedule(tx) {
      const { resources } = rules().catalogue;
      const nowMs = await tx.now();
      const spreadMs = Math.min(EVERY_MS, FIRST_MS + resources.size * APART_MS);
      for (const id of resources.keys()) {
        const dueAt = nowMs + FIRST_MS + Math.floor(random() * spreadMs);
        await tx.insertJob({ id: createId('job', nowMs), kind: 'sweep', subject: id, dueAt });
      }
    },

    async sweep(id, signal) {
      const resource = rules().catalogue.resources.get(id);
      const issuer = resource && issuers.get(resource.target.kind);
      if (!resource || !issuer) {
        // Nobody can look there any more.
        await store.write((tx) => settle(tx, id, new Map(), 'the resource has left the catalogue'));
        return undefined;
      }
      const begunAt = await store.now();
      const kind = issuer.kind;
      const expected = await store.read((tx) =>
        tx.credentials({ kind, resource: id, states: ['live'], limit: MOST }),
      );
      let survey: Survey;
      try {
        survey = await issuer.survey(resource, signal);
      } catch (error) {
        if (signal.aborted) throw error;
        return lookedInVain(id, error);
      }
      if (!survey.persists) return undefined;

      const orphans = await store.read((tx) => findOrphans(tx, kind, survey.found, begunAt));
      await store.write(async (tx) => {
        for (const trouble of troublesOf(id, orphans).values()) await alarms.raise(tx, trouble);
      });
      const left = await endAgain(issuer, resource, orphans, signal);
      const missing = survey.isComplete ? without(expected, survey.found) : [];
      await endForgotten(issuer, missing.slice(0, MOST_CALLS), signal);
      const nowMs = await store.now();
      await store.write(async (tx) => {
        await tx.putPoll({ ...pollOf(id, nowMs), succeededAt: nowMs, failures: 0, lastError: null });
        const troubles = troublesOf(id, left);
        if (survey.isComplete) await settle(tx, id, troubles, 'it is not there any more');
      });
      const isMore = left.some(({ row }) => row !== undefined) || missing.length > MOST_CALLS;
      return nowMs + Math.ceil((isMore ? SOON_MS : EVERY_MS) * (0.9 + random() * 0.2));
    },
  };

  /** Clears what is not so any more. */
  async function settle(tx: Tx, resource: string, left: Map<string, Trouble>, why: string): Promise<void> {
    for (const alarm of await tx.alarms()) {
      if (alarm.kind === 'orphan' && alarm.resource === resource && !left.has(alarm.id))
        await alarms.clear(tx, alarm, why);
    }
    // With fewer of them than before.
    for (const trouble of left.values()) await alarms.raise(tx, trouble);
  }

  /** Ends what had ended before, there where it was found. Answers with those that are still there. */
  async function endAgain(
    issuer: Issuer,
    resource: Resource,
    orphans: readonly Orphan[],
    signal: AbortSignal,
  ): Promise<Orphan[]> {
    const left: Orphan[] = [];
    let calls = 0;
    for (const orphan of orphans) {
      const { row } = orphan;
      if (row === undefined || calls++ >= MOST_CALLS || !(await isEndedAgain(issuer, resource, row, signal)))
        left.push(orphan);
    }
    return left;
  }

  async function isEndedAgain(
    issuer: Issuer,
    resource: Resource,
    row: CredentialRow,
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      const input = await endInput(row, signal);
      const here = { ...input, subject: { ...input.subject, resource } };
      const end = await issuer.end(here);
      const proof = await issuer.prove({ ...here, nowMs: await store.now() });
      if (proof.state !== 'proven') return false;
      await store.write((tx) =>
        log.record(tx, {
          event: 'credential.ended',
          actor: BROKER,
          subject: { credential: row.id, grant: row.grantId, handle: row.handle },
          data: { cause: 'found again', end, proof } as unknown as Json,
        }),
      );
      return true;
    } catch (error) {
      if (signal.aborted) throw error;
      logger.warn({ err: error, resource: resource.id, handle: row.handle }, 'an orphan could not be ended');
      return false;
    }
  }

  /** Asked once more, at the target it was issued for: the catalogue may name another by now. */
  async function endForgotten(
    issuer: Issuer,
    missing: readonly CredentialRow[],
    signal: AbortSignal,
  ): Promise<void> {
    for (const row of missing) {
      const input = await endInput(row, signal);
      const proof = await issuer.prove(input).catch((error: unknown) => {
        if (signal.aborted) throw error;
        return undefined;
      });
      if (proof?.state !== 'proven') continue;
      await store.write((tx) =>
        endings.endCredential(tx, row, { cause: 'the target has forgotten it', actor: BROKER }),
      );
    }
  }

  async function lookedInVain(id: string, error: unknown): Promise<number> {
    logger.warn({ err: error, resource: id }, 'a target could not be searched for logins');
    return store.write(async (tx) => {
      const nowMs = await tx.now();
      const before = (await tx.polls()).find(({ source, subject }) => source === id && subject === LOGINS);
      const failures = (before?.failures ?? 0) + 1;
      const lastError = isAppError(error) ? error.message : 'it failed';
      const succeededAt = before?.succeededAt ?? null;
      await tx.putPoll({ ...pollOf(id, nowMs), succeededAt, failures, lastError });
      return nowMs + Math.ceil(Math.min(SOON_MS * 2 ** failures, EVERY_MS) * (0.9 + random() * 0.2));
    });
  }

  function endInput(row: CredentialRow, signal: AbortSignal) {
    return store.read(async (tx) => ({
      subject: await subjectOf(tx, row),
      handle: row.handle,
      publicPart: (row.publicPart ?? undefined) as never,
      expiresAtMs: row.expiresAt,
      nowMs: await tx.now(),
      signal,
    }));
  }
}

/** Exists, and should not. `row`: the store knows it, as ended; else nobody here has issued it. */
interface Orphan {
  found: Found;
  row: CredentialRow | undefined;
  user: string;
}

/** The store is read after the target: a login is written down before it exists, so what the store does not know is none of ours. */
async function findOrphans(
  tx: ReadTx,
  kind: string,
  found: readonly Found[],
  begunAt: number,
): Promise<Orphan[]> {
  const orphans: Orphan[] = [];
  for (const one of found) {
    const [row] = await tx.credentials({ kind, handle: one.handle, limit: 1 });
    // One that ended while we looked was there when the target answered, and rightly so.
    const isRightful = row && (row.state !== 'ended' || (row.endedAt ?? 0) >= begunAt);
    if (isRightful) continue;
    const user = row ? ((await tx.grant(row.grantId))?.user ?? '') : '';
    orphans.push({ found: one, row, user });
  }
  return orphans;
}

/** By the id of the alarm. */
function troublesOf(resource: string, orphans: readonly Orphan[]): Map<string, Trouble> {
  const troubles = new Map<string, Trouble & { handles: string[] }>();
  for (const { found, user } of orphans) {
    const id = alarmId({ kind: 'orphan', resource, user });
    const known = troubles.get(id);
    const why =
      user === ''
        ? 'nobody here has issued it: it is left alone'
        : 'it had ended and is there again: it is ended again';
    if (known) known.handles.push(found.handle);
    else troubles.set(id, { kind: 'orphan', resource, user, handles: [found.handle], why });
  }
  return troubles;
}

function without(expected: readonly CredentialRow[], found: readonly Found[]): CredentialRow[] {
  const there = new Set(found.map(({ handle }) => handle));
  return expected.filter(({ handle }) => !there.has(handle));
}

function pollOf(resource: string, triedAt: number) {
  return { source: resource, subject: LOGINS, triedAt, validators: {}, emptySince: null };
}
