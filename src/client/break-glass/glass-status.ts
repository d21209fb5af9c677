/** What `status` and the prompt show of break-glass: put down anew from packs and journal each time, so that it is never wrong for long. */
import type { ClientConfig } from '../config.ts';
import type { ClientContext } from '../context.ts';
import { noteBreakGlass, type StatusBreakGlass } from '../status-file.ts';
import { endOf } from './choose.ts';
import { listPacks } from './packs.ts';
import { peekJournal } from './peek.ts';

/** The caller holds `paths.holdLock`, or cannot wait for it. */
export async function noteGlass(context: ClientContext, config: ClientConfig): Promise<void> {
  const { paths, now } = context;
  const { broker, user, device } = config;
  await noteBreakGlass({ paths, broker, user, device }, now(), glassOf(context, config));
}

export function glassOf({ paths, now }: ClientContext, config: ClientConfig): StatusBreakGlass {
  const { packs } = listPacks(paths, config);
  const { uses, unreported, base } = peekJournal(paths, config.device.id, now());
  const targetOf = ({ resource, role }: { resource: string; role: string }) => ({ resource, role });
  return {
    packs: packs.map(({ pack }) => ({
      ...{ id: pack.id, target: targetOf(pack), issuedAt: pack.issuedAt },
      ...{ startsAt: pack.startsAt, endsAt: pack.endsAt },
    })),
    open: uses.flatMap((use) => {
      const pack = packs.find((kept) => kept.pack.id === use.pack)?.pack;
      const slot = pack?.slots.find(({ number }) => number === use.slot);
      if (!use.isOpen || pack === undefined || slot === undefined || endOf(slot) <= now()) return [];
      const { reason, incident, openedAt, drill } = use;
      return [
        {
          ...{ pack: pack.id, slot: slot.number, target: targetOf(pack), kind: pack.kind },
          ...{ reason, incident, openedAt, expiresAt: slot.notAfter, drill },
        },
      ];
    }),
    unreported: unreported.length,
    broken: base.broken,
  };
}
