// A real sshd and a real PostgreSQL that let in by break-glass certificates alone, as `oncall broker target` asks for: the break-glass CAs
// are held to the names of break-glass.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PackPlace } from '../../src/protocol/messages.ts';
import { type OwnServer, ownServer, type TestDatabase } from '../support/postgres.ts';
import { SSH_LOGIN, startSshd, type TestSshd } from '../support/sshd.ts';
import { type GlassAuthority, x509CaPem } from './device.ts';

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

/** The certificate's name is mapped to a standing role that can log in by nothing else. */
export async function postgresTarget(authority: GlassAuthority): Promise<PostgresTarget> {
  const server = await ownServer();
  const database = await server.database('orders');
  const home = dirname(server.caFile);
  // Its programs run as another account where this is root: that account made the folder.
  const ca = join(home, 'data', 'breakglass-ca.pem');
  writeFileSync(ca, await x509CaPem(authority), { mode: 0o644 });
  writeFileSync(
    join(home, 'data', 'pg_hba.conf'),
    `hostssl all breakglass_read all cert map=breakglass\nhost all postgres all scram-sha-256\n`,
  );
  appendFileSync(
    join(home, 'data', 'pg_ident.conf'),
    `breakglass breakglass-db-replica-read breakglass_read\n`,
  );
  await database.sql('create role breakglass_read login; create table orders (id int)');
  await database.sql('insert into orders select generate_series(1, 42)');
  await database.sql('grant select on orders to breakglass_read');
  await database.sql(`alter system set ssl_ca_file = '${ca}'`);
  await database.sql('select pg_reload_conf()');
  return {
    server,
    database,
    place: {
      ...{ kind: 'postgres', user: 'breakglass_read', host: server.host, port: server.port },
      ...{ database: database.database, sslMode: 'verify-full', caPem: readFileSync(server.caFile, 'utf8') },
    },
  };
}
