/**
 * What hosts report: logins, each written down once however often it is told, with the grant or pack that it rests on; and the
 * sessions that are open there, of which the broker says which are over. The revocation list could not tell a host that:
 * a certificate that has merely run out is on it, and one that ran out long ago is not, whatever became of its grant.
 *
 * A host is believed about itself alone. A certificate for another resource than its own matches nothing there.
 */
import { createHash } from 'node:crypto';
import { SLOT_MS } from '../break-glass/pack.ts';
import { parseBreakGlassKeyId } from '../protocol/break-glass-names.ts';
import { canonicalJson } from '../protocol/canonical-json.ts';
import type { HostReply, HostReport, LoginRecord, OpenSession } from '../protocol/messages.ts';
import { parseInstant } from '../protocol/time.ts';
import type { HostRow, LoginRow } from '../store/rows.ts';
import type { ReadTx, Tx } from '../store/store.ts';
import type { AuditLog } from './audit-log.ts';
import { isOfSlot, type LoginWatch } from './login-watch.ts';

export interface HostReports {
  /** `hosts`: the rows of the key that signed; at least one. */
  take(tx: Tx, hosts: readonly HostRow[], report: HostReport): Promise<HostReply>;
}

interface Basis {
  resource: string;
  matched: string | null;
  /** For the log to be searched by. */
  subject: Record<string, string>;
}

const SEEN_EVERY_MS = 10_000;
/** In the subject of a certificate, as PostgreSQL writes it (RFC 2253). */
const UNIT = /(?:^|[,+])OU=((?:\\.|[^,+\\])+)/;

/** `authorities`: fingerprints of the CAs that sign what engineers log in with. */
export function createHostReports(
  log: AuditLog,
  watch: LoginWatch,
  authorities: ReadonlySet<string>,
): HostReports {
  /** Undefined for a login that is none of ours: another CA's, or a database's own user. */
  async function basisOf(
    tx: ReadTx,
    hosts: readonly HostRow[],
    login: LoginRecord,
  ): Promise<Basis | undefined> {
    const resources = hosts.map(({ resource }) => resource);
    const [own = ''] = resources;
    const use = breakGlassOf(login);
    if (use !== undefined) {
      const pack = await tx.pack(use.pack);
      const isKnown =
        pack !== undefined &&
        resources.includes(pack.resource) &&
        isOfSlot(pack, use.slot, login.kind === 'ssh' ? login.serial : '');
      const opened = isKnown ? await tx.packUse(use.pack, use.slot) : undefined;
      return {
        resource: isKnown ? pack.resource : own,
        matched: opened === undefined ? null : `${use.pack}/${use.slot}`,
        subject: { pack: use.pack, ...(isKnown && { user: pack.user }) },
      };
    }
    if (login.kind === 'ssh' && !authorities.has(login.authority)) return undefined;
    const handle = login.kind === 'ssh' ? login.serial : login.account;
    const [credential] = await tx.credentials({ kind: login.kind, handle, limit: 1 });
    const grant = credential && (await tx.grant(credential.grantId));
    const isIts =
      credential !== undefined &&
      grant !== undefined &&
      resources.includes(grant.resource) &&
      (login.kind !== 'ssh' || login.identity.split('/')[1] === grant.id);
    if (isIts) {
      const subject = { grant: grant.id, credential: credential.id, handle, user: grant.user };
      return { resource: grant.resource, matched: grant.id, subject };
    }
    return login.kind === 'ssh' ? { resource: own, matched: null, subject: { handle } } : undefined;
  }

  async function takeLogin(
    tx: Tx,
    hosts: readonly HostRow[],
    login: LoginRecord,
    nowMs: number,
  ): Promise<boolean> {
    const basis = await basisOf(tx, hosts, login);
    if (basis === undefined) return false;
    const { resource, matched, subject } = basis;
    const host = hosts.find((row) => row.resource === resource)?.id ?? '';
    const { kind, account, serial, address, authority } = login;
    const identity = keyIdOf(login);
    const row: LoginRow = {
      ...{ id: loginId(hosts[0]?.publicKey ?? '', login), host, resource, kind, account, identity },
      ...{ serial, address, at: parseInstant(login.at), receivedAt: nowMs, matched },
    };
    const isFirst = (await tx.logins({ host, identity, serial, limit: 1 })).length === 0;
    if (!(await tx.insertLogin(row))) return false;
    // Each certificate once: whoever runs a thousand commands over SSH makes a thousand logins.
    if (isFirst) {
      await log.record(tx, {
        event: 'login.seen',
        actor: { kind: 'device', id: host },
        subject: { host, resource, ...subject },
        data: { kind, account, identity, serial, authority, address, at: login.at, matched },
      });
    }
    return matched === null;
  }

  return {
    async take(tx, hosts, { logins, open, lost }) {
      const nowMs = await tx.now();
      for (const { id, lastSeenAt } of hosts) {
        if (nowMs - (lastSeenAt ?? 0) >= SEEN_EVERY_MS) await tx.updateHost(id, { lastSeenAt: nowMs });
      }
      const over: OpenSession[] = [];
      for (const session of open) if (await isOver(tx, session, nowMs)) over.push(session);
      let isUnaccounted = false;
      for (const login of logins) if (await takeLogin(tx, hosts, login, nowMs)) isUnaccounted = true;
      if (isUnaccounted) await watch.soon(tx);
      const [host] = hosts;
      if (lost > 0 && host !== undefined) {
        await log.record(tx, {
          event: 'login.lost',
          actor: { kind: 'device', id: host.id },
          subject: { host: host.id, resource: host.resource },
          data: { count: lost },
        });
      }
      return { over };
    },
  };
}

/** A session goes on after its certificate has run out, for as long as what it was opened under. What we do not know is not over. */
async function isOver(tx: ReadTx, { identity, serial }: OpenSession, nowMs: number): Promise<boolean> {
  const use = parseBreakGlassKeyId(identity);
  if (use !== undefined) {
    const pack = await tx.pack(use.pack);
    if (pack === undefined) return false;
    return pack.state === 'revoked' || pack.endsAt + SLOT_MS <= nowMs || (await isRevoked(tx, pack.deviceId));
  }
  const [credential] = await tx.credentials({ kind: 'ssh', handle: serial, limit: 1 });
  const grant = credential && (await tx.grant(credential.grantId));
  if (credential === undefined || grant === undefined) return false;
  return grant.state === 'ended' || (await isRevoked(tx, credential.deviceId));
}

async function isRevoked(tx: ReadTx, deviceId: string): Promise<boolean> {
  return (await tx.device(deviceId))?.state === 'revoked';
}

function breakGlassOf(login: LoginRecord): ReturnType<typeof parseBreakGlassKeyId> {
  return parseBreakGlassKeyId(keyIdOf(login));
}

/** Of a client certificate for break-glass the unit that holds the key id; else the identity as it is. */
function keyIdOf({ kind, identity, authority }: LoginRecord): string {
  if (kind !== 'postgres' || authority !== 'cert') return identity;
  const unit = (UNIT.exec(identity)?.[1] ?? '').replace(/\\(.)/g, '$1');
  return parseBreakGlassKeyId(unit) === undefined ? identity : unit;
}

/** By the key, which is the machine: what one host says can never stand in the way of what another does. */
function loginId(publicKey: string, login: LoginRecord): string {
  return createHash('sha256')
    .update(`${publicKey}\n${canonicalJson(login)}`)
    .digest('base64url');
}
