/**
 * Whether hosts report who logs in there, where somebody counts on it: with break-glass (phase 2 on), the target's own record is what
 * catches a pack that was opened without a journal. Asked of the kinds of targets that have hosts of their own.
 */
import type { Catalogue, Finding, Resource } from '../catalogue/types.ts';
import { isAppError } from '../protocol/errors.ts';
import type { HostRow } from '../store/rows.ts';
import type { Store } from '../store/store.ts';
import { hostId } from './hosts.ts';

/** A host reports once a minute at least. */
export const SILENT_MS = 900_000;

/** `open`: the store, which may be elsewhere, or not made yet. */
export async function findSilentHosts(
  catalogue: Catalogue,
  open: (work: (store: Store) => Promise<Finding[]>) => Promise<Finding[]>,
): Promise<Finding[]> {
  const resources = [...catalogue.resources.values()].filter(needsFeed);
  if (resources.length === 0) return [];
  try {
    return await open(async (store) => {
      const nowMs = await store.now();
      const rows = (await store.read((tx) => tx.hosts())).filter(({ state }) => state === 'active');
      return resources.flatMap((resource) => gapsOf(resource, rows, nowMs));
    });
  } catch (error) {
    const why = isAppError(error) ? error.message : 'it cannot be read';
    const names = resources.map(({ id }) => id).join(', ');
    return [
      finding(
        'warning',
        `whether the hosts of ${names} report their logins is in the store, which this cannot read: ${why}`,
        "run oncall broker check on the broker's host",
      ),
    ];
  }
}

function needsFeed({ phase, environment, target }: Resource): boolean {
  return phase >= 2 && environment === 'production' && (target.kind === 'ssh' || target.kind === 'postgres');
}

function gapsOf({ id, target }: Resource, rows: readonly HostRow[], nowMs: number): Finding[] {
  const own = rows.filter(({ resource }) => resource === id);
  const missing =
    target.kind === 'ssh'
      ? target.hosts.flatMap(({ name }) =>
          own.some((row) => row.id === hostId({ resource: id, name })) ? [] : [`the host ${name}`],
        )
      : own.length === 0
        ? ['its host']
        : [];
  const isSilent = ({ lastSeenAt }: HostRow) => lastSeenAt === null || nowMs - lastSeenAt > SILENT_MS;
  return [
    ...missing.map((what) =>
      finding(
        'error',
        `${id}: ${what} does not report who logs in, which production needs from phase 2 on`,
        `oncall broker target ${id} prints what to do there; then oncall broker host add ${id} NAME --key ed25519:…`,
      ),
    ),
    ...own
      .filter(isSilent)
      .map((row) =>
        finding(
          'error',
          `${id}: ${row.id} ${row.lastSeenAt === null ? 'has never reported' : 'has not reported for a quarter of an hour'}`,
          'on that host: systemctl status oncall-host; oncall host status',
        ),
      ),
  ];
}

function finding(severity: Finding['severity'], message: string, hint: string): Finding {
  return { severity, file: 'catalogue.yaml', line: undefined, column: undefined, message, hint };
}
