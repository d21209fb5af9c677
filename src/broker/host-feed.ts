/**
 * Whether hosts report who logs in there, where somebody counts on it: with break-glass (phase 2 on), the target's own record is what
 * catches a pack that was opened without a journal. Asked of the kinds of targets that have hosts of their own.
 */
import type { Catalogue, Resource } from '../catalogue/types.ts';
import type { HostRow } from '../store/rows.ts';
import type { Gap } from './gap.ts';
import { hostId } from './hosts.ts';

/** A host reports once a minute at least. */
export const SILENT_MS = 900_000;

/** `hosts`: undefined where the store cannot be read, which is then said. */
export function checkHostFeed(
  catalogue: Catalogue,
  hosts: readonly HostRow[] | undefined,
  nowMs: number,
): Gap[] {
  const resources = [...catalogue.resources.values()].filter(needsFeed);
  const active = hosts?.filter(({ state }) => state === 'active');
  return resources.flatMap((resource) =>
    active === undefined ? [unknown(resource)] : gapsOf(resource, active, nowMs),
  );
}

function needsFeed({ phase, environment, target }: Resource): boolean {
  return phase >= 2 && environment === 'production' && (target.kind === 'ssh' || target.kind === 'postgres');
}

function gapsOf({ id, target }: Resource, active: readonly HostRow[], nowMs: number): Gap[] {
  const place = placeOf(id);
  const own = active.filter(({ resource }) => resource === id);
  const names = target.kind === 'ssh' ? target.hosts.map(({ name }) => name) : [];
  const unnamed = names.filter((name) => !own.some((row) => row.id === hostId({ resource: id, name })));
  const missing =
    names.length === 0 && own.length === 0 ? ['its host'] : unnamed.map((name) => `host ${name}`);
  const silent = own.filter(({ lastSeenAt }) => lastSeenAt === null || nowMs - lastSeenAt > SILENT_MS);
  return [
    ...missing.map((what) => ({
      place,
      message: `${id}: ${what} does not report who logs in, which production needs from phase 2 on`,
      hint: `oncall broker target ${id} prints what to do there; then oncall broker host add ${id} NAME --key ed25519:…`,
    })),
    ...silent.map((row) => ({
      place,
      message: `${id}: ${row.id} ${row.lastSeenAt === null ? 'has never reported' : 'has not reported for a quarter of an hour'}`,
      hint: 'on that host: systemctl status oncall-host; oncall host status',
    })),
  ];
}

function unknown({ id }: Resource): Gap {
  return {
    place: placeOf(id),
    message: `${id}: whether its hosts report who logs in is in the store, which cannot be read from here`,
    hint: "run oncall broker check on the broker's host",
    isWarning: true,
  };
}

function placeOf(id: string): string {
  return `resources.${id}.phase`;
}
