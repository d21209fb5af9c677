/** What the broker says of everything, or that it says nothing, put down where `status` reads it. */

import type { StatusReply } from '../protocol/messages.ts';
import { getStatus, listResources } from './calls.ts';
import type { Client } from './client.ts';
import { writeNames } from './completion-names.ts';
import { saveEndpoints } from './endpoints.ts';
import { listLocalGrants, ownerOf, wipeGrant, withHoldLock } from './hold.ts';
import { approvalNames, catalogueNames, incidentNames } from './listed-names.ts';
import { fromReply, noteSilence, type StatusFile, updateStatusFile } from './status-file.ts';

export interface RefreshOptions {
  /** The completion names too, for which the whole catalogue is asked for. */
  readonly names: boolean;
}

/**
 * Asks the broker for everything, writes the status file and the completion names, and wipes what belongs to no grant that
 * stands. Asks while holding the lock: a grant that came after the answer must not be taken for one that has ended.
 */
export async function refreshStatus(
  client: Client,
  options: RefreshOptions = { names: true },
): Promise<StatusFile> {
  return (await refreshAll(client, options)).status;
}

/** The same, with the broker's own answer. */
export async function refreshAll(
  { context, config, broker }: Client,
  { names }: RefreshOptions,
): Promise<{ status: StatusFile; reply: StatusReply; wiped: readonly string[] }> {
  return withHoldLock(context, async () => {
    const [reply, catalogue] = await Promise.all([
      getStatus(broker),
      names ? listResources(broker) : undefined,
    ]);
    // An older broker does not say.
    await saveEndpoints(context.paths, config, reply.endpoints ?? []);
    const standing = new Set(reply.grants.filter(({ state }) => state !== 'ended').map(({ id }) => id));
    const wiped = [...listLocalGrants(context)].filter((id) => !standing.has(id));
    for (const id of wiped) await wipeGrant(context, id);
    await writeNames(context.paths, {
      ...incidentNames(reply.incidents),
      ...approvalNames(reply.approvals),
      ...(catalogue && catalogueNames(catalogue)),
    });
    // The exchange may have handed the journal in.
    const { glassOf } = await import('./break-glass/glass-status.ts');
    const breakGlass = glassOf(context, config);
    const status = await updateStatusFile(ownerOf(context, config), context.now(), (before) => ({
      ...fromReply(before, reply),
      breakGlass,
    }));
    return { status, reply, wiped };
  });
}

/** What can be asked for, for completion alone. */
export async function refreshCatalogue({ context, broker }: Client): Promise<void> {
  await writeNames(context.paths, catalogueNames(await listResources(broker)));
}

/** Notes that the broker is there and has nothing new. */
export async function noteContact({ context, config }: Client): Promise<StatusFile> {
  return withHoldLock(context, () =>
    updateStatusFile(ownerOf(context, config), context.now(), (status) => status),
  );
}

/** Notes that what was revoked since then has not been heard of. */
export async function noteUnheard({ context, config }: Client, sinceMs: number): Promise<StatusFile> {
  return withHoldLock(context, () => noteSilence(ownerOf(context, config), context.now(), sinceMs));
}
