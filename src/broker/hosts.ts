/**
 * The hosts that report who logs in there. One is known by a key that it made itself; an operator tells the broker of it, for
 * one resource at a time: a machine that serves several is a host of each, with one key.
 */
import { AppError } from '../protocol/errors.ts';
import { algOf } from '../protocol/keys.ts';
import type { HostRow } from '../store/rows.ts';
import type { Tx } from '../store/store.ts';
import type { Actor, AuditLog } from './audit-log.ts';

/** As hosts call themselves, domain and all. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9.-]{0,99}$/;

export interface Hosts {
  /** Throws AppError `usage` for a name or key that is none, `conflict` where the name is another key's. */
  add(tx: Tx, actor: Actor, host: { resource: string; name: string; publicKey: string }): Promise<HostRow>;
  /** Throws AppError `not_found`. What it has reported stays. */
  remove(tx: Tx, actor: Actor, host: { resource: string; name: string }): Promise<HostRow>;
}

export function hostId({ resource, name }: { resource: string; name: string }): string {
  return `${resource}/${name}`;
}

export function createHosts(log: AuditLog): Hosts {
  async function record(tx: Tx, actor: Actor, { id, resource, publicKey, state }: HostRow): Promise<void> {
    await log.record(tx, {
      event: state === 'active' ? 'host.added' : 'host.removed',
      actor,
      subject: { host: id, resource },
      data: { publicKey },
    });
  }

  return {
    async add(tx, actor, { resource, name, publicKey }) {
      if (!NAME.test(name)) {
        throw new AppError('usage', 'not the name of a host', {
          hint: 'letters, digits, dots and dashes, at most 100',
        });
      }
      if (!isSigningKey(publicKey)) {
        throw new AppError('usage', 'not the key of a host', {
          hint: 'paste the line that `oncall host init` printed there',
        });
      }
      const id = hostId({ resource, name });
      const known = (await tx.hosts()).find((host) => host.id === id);
      if (known?.state === 'active' && known.publicKey !== publicKey) {
        throw new AppError('conflict', `${id} is known by another key`, {
          hint: `if that one is gone: oncall broker host remove ${resource} ${name}`,
        });
      }
      if (known?.state === 'active') return known;
      const nowMs = await tx.now();
      const row: HostRow = {
        ...{ id, resource, publicKey, state: 'active' },
        ...{ addedBy: actor.id, addedAt: nowMs, lastSeenAt: null },
      };
      if (known === undefined) await tx.insertHost(row);
      else {
        const { addedBy, addedAt, lastSeenAt } = row;
        await tx.updateHost(id, { publicKey, state: 'active', addedBy, addedAt, lastSeenAt });
      }
      await record(tx, actor, row);
      return row;
    },

    async remove(tx, actor, host) {
      const id = hostId(host);
      const known = (await tx.hosts()).find((row) => row.id === id && row.state === 'active');
      if (known === undefined) {
        throw new AppError('not_found', `there is no host ${id}`, { hint: 'oncall broker host list' });
      }
      await tx.updateHost(id, { state: 'removed' });
      const removed: HostRow = { ...known, state: 'removed' };
      await record(tx, actor, removed);
      return removed;
    },
  };
}

function isSigningKey(text: string): boolean {
  try {
    return algOf(text) === 'ed25519';
  } catch {
    return false;
  }
}
