/** Who stands behind a name at a target, for those who may read the log, and for everybody about themselves. */
import { type AuditEntry, parseEntry } from '../audit/entry.ts';
import { type FindEntries, MAKING, traceName, unknownName } from '../audit/trace.ts';
import { nearest } from '../catalogue/nearest.ts';
import { AppError } from '../protocol/errors.ts';
import type { AuditWho } from '../protocol/messages.ts';
import { parseInstant } from '../protocol/time.ts';
import type { ReadTx } from '../store/store.ts';
import type { Caller } from './caller.ts';
import { askPermission } from './permissions.ts';
import type { Rules } from './rules.ts';

/** Of one value: more than the credentials of any grant make, for all but the longest of evenings. */
const MOST_ENTRIES = 2000;
/** Of one value and event, where only the beginnings are asked for. */
const MOST_MADE = 100;
/** Names that a mistyped one may have meant. */
const MOST_NEAR = 500;

/** Throws `not_found`, alike where nobody has the name and where it is somebody else's. */
export async function answerWho(
  tx: ReadTx,
  rules: Rules,
  caller: Caller,
  name: string,
  at: string | undefined,
): Promise<AuditWho> {
  const atMs = at === undefined ? undefined : parseInstant(at);
  if (Number.isNaN(atMs)) throw new AppError('invalid_request', `${at} is no instant`);
  const seesAll = (await askPermission(rules, caller, tx, 'read-audit')).allowed;
  const user = caller.person.id;
  const find = findIn(tx);
  const visible = async (whenMs: number | undefined) =>
    (await traceName(find, name, whenMs)).filter((trace) => seesAll || trace.user === user);
  const traces = await visible(atMs);
  if (traces.length > 0) return { name, at: at ?? null, traces };
  const others = atMs === undefined ? [] : await visible(undefined);
  const near = others.length > 0 || !seesAll ? undefined : nearest(name, await newestHandles(tx));
  throw unknownName(others, near);
}

function findIn(tx: ReadTx): FindEntries {
  return async (values, events) => {
    const found = new Map<number, AuditEntry>();
    for (const subject of values) {
      const searches = [
        ...(events === undefined ? [tx.auditSearch({ subject, limit: MOST_ENTRIES })] : []),
        ...(events ?? MAKING).map((event) => tx.auditSearch({ subject, event, limit: MOST_MADE })),
      ];
      for (const { index, entry } of (await Promise.all(searches)).flat())
        if (!found.has(index)) found.set(index, parseEntry(JSON.parse(entry)));
    }
    return [...found.values()].sort((a, b) => a.index - b.index);
  };
}

async function newestHandles(tx: ReadTx): Promise<string[]> {
  return (await tx.credentials({ limit: MOST_NEAR })).map(({ handle }) => handle);
}
