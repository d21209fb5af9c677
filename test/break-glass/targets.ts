// A real sshd and a real PostgreSQL that let in by break-glass certificates alone, as `oncall broker target` asks for: the break-glass CAs
// are held to the names of break-glass.
import type { PackPlace } from '../../src/protocol/messages.ts';
import { admitGlass } from '../support/glass-postgres.ts';
import { type OwnServer, ownServer, type TestDatabase } from '../support/postgres.ts';
import { SSH_LOGIN, startSshd, type TestSshd } from '../support/sshd.ts';
import type { GlassAuthority } from './device.ts';

export interface SshTarget {
  sshd: TestSshd;
  place: PackPlace;
}

export async function sshTarget(authority: GlassAuthority): Promise<SshTarget> {
  const sshd = await startSshd({
    trustedUserCaKeys: authority.sshCaLine,
    authorizedPrincipals: { [SSH_LOGIN]: ['breakglass-db-host-operator'] },
  });
  const host = { name: 'db-host', host: sshd.host, port: sshd.port };
  return {
    sshd,
    place: { kind: 'ssh', login: sshd.login, hosts: [host], knownHosts: [sshd.knownHosts] },
  };
}

export interface PostgresTarget {
  server: OwnServer;
  database: TestDatabase;
  place: PackPlace;
}

export async function postgresTarget(authority: GlassAuthority): Promise<PostgresTarget> {
  const server = await ownServer();
  const database = await server.database('orders');
  const place = await admitGlass(authority, server, database.database, database.sql);
  return { server, database, place };
}
