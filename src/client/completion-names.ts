/**
 * What shells complete and read by themselves: one file for each list, one row for each name, in the order of their bytes.
 *
 *     P1-123                                        the name alone
 *     P1-123 TAB P1 orders: orders are slow         with a description, for shells that show one
 *     db-replica:read TAB P1-123 TAB 1767579240     and its end in seconds since 1970, for shells that have a clock
 *
 * A name has no character that means anything to a shell. A description comes from outside: it is on one line, short, and nothing
 * in it steers a terminal. The shells rely on none of this and look again.
 */
import { join } from 'node:path';
import type { Target } from '../protocol/messages.ts';
import { escapeForTerminal, formatTarget, isName } from '../protocol/names.ts';
import { readSafeFile } from './files.ts';
import type { ClientPaths } from './paths.ts';
import type { StatusFile } from './status-file.ts';
import { type FileWrite, writeFiles } from './write-files.ts';

/** `roles` are targets as they are typed, `held` those of own grants, `approvals` what waits for this person's answer. */
export const NAME_LISTS = [
  ...(['resources', 'roles', 'bundles', 'services', 'incidents'] as const),
  ...(['requests', 'approvals', 'grants', 'held', 'reviews'] as const),
] as const;
export type NameList = (typeof NAME_LISTS)[number];

export interface NameRow {
  readonly name: string;
  readonly description?: string | null;
  /** RFC 3339. */
  readonly endsAt?: string;
}

export type Names = Partial<Readonly<Record<NameList, readonly NameRow[]>>>;

/** Together they keep a file below what {@link readSafeFile} reads. */
const MAX_ROWS = 10_000;
const LONGEST_DESCRIPTION = 60;

/** What is no name is left out: shells read these files. */
export async function writeNames(paths: ClientPaths, names: Names): Promise<void> {
  await writeFiles(changedNames(paths, names));
}

/** For who has these names anyway: a home that cannot be written is no reason to fail, or to talk of completion. */
export async function noteNames(paths: ClientPaths, names: Names): Promise<void> {
  await writeNames(paths, names).catch(() => {});
}

/** Files that would say something else than they do. */
export function changedNames(paths: ClientPaths, names: Names): FileWrite[] {
  return Object.entries(names).flatMap(([list, rows]) => {
    const byName = new Map(rows.filter(({ name }) => isCompletable(name)).map((row) => [row.name, row]));
    const sorted = [...byName.values()].sort((a, b) => (a.name < b.name ? -1 : 1)).slice(0, MAX_ROWS);
    const data = sorted.map((row) => `${formatRow(row)}\n`).join('');
    const path = join(paths.completeDir, list);
    return readSafeFile(path)?.toString('utf8') === data ? [] : [{ path, data, isCopy: true }];
  });
}

/** What is in the status file. */
export function statusNames({
  grants,
  pending,
  reviews,
}: Pick<StatusFile, 'grants' | 'pending' | 'reviews'>) {
  return {
    grants: grants.map(({ id, target, endsAt }) => ({
      name: id,
      description: formatTarget(target),
      endsAt,
    })),
    held: grants.map(({ target, incidents, endsAt }) => ({
      name: formatTarget(target),
      description: incidents.join(' '),
      endsAt,
    })),
    requests: pending.map(({ id, targets, incident, expiresAt }) => ({
      name: id,
      description: [targetsText(targets), incident].filter(Boolean).join(' '),
      endsAt: expiresAt,
    })),
    reviews: reviews.map(({ id, user }) => ({ name: id, description: user })),
  } satisfies Names;
}

export function targetsText(targets: readonly Target[]): string {
  return targets.map(formatTarget).join(' ');
}

function formatRow({ name, description, endsAt }: NameRow): string {
  const end = Math.floor(Date.parse(endsAt ?? '') / 1000);
  const text = describe(description ?? '');
  if (Number.isInteger(end) && end > 0) return `${name}\t${text}\t${end}`;
  return text === '' ? name : `${name}\t${text}`;
}

// Attacker-controlled: incidents have titles from everywhere.
function describe(text: string): string {
  const line = [...escapeForTerminal(text.trim().replace(/\s+/g, ' '))];
  return line.length <= LONGEST_DESCRIPTION
    ? line.join('')
    : `${line.slice(0, LONGEST_DESCRIPTION - 3).join('')}...`;
}

/** A name, or `resource:role`. */
function isCompletable(text: string): boolean {
  const parts = text.split(':');
  return parts.length <= 2 && parts.every(isName) && text.length <= 128;
}
