// A PostgreSQL server that lets in by break-glass certificates, as `oncall broker target` asks for. Free of vitest.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { PackPlace } from '../../src/protocol/messages.ts';
import { type GlassAuthority, x509CaPem } from './glass-packs.ts';
import type { PostgresAddress } from './postgres-server.ts';

/** The certificate's name is mapped to a standing role that can log in by nothing else. `sql` runs as the superuser in `database`. */
export async function admitGlass(
  authority: GlassAuthority,
  server: Pick<PostgresAddress, 'host' | 'port' | 'caFile'>,
  database: string,
  sql: (text: string) => Promise<unknown>,
): Promise<PackPlace> {
  const data = join(dirname(server.caFile), 'data');
  const ca = join(data, 'breakglass-ca.pem');
  // Its programs run as another account where this is root.
  writeFileSync(ca, await x509CaPem(authority), { mode: 0o644 });
  writeFileSync(
    join(data, 'pg_hba.conf'),
    'hostssl all breakglass_read all cert map=breakglass\nhost all postgres all scram-sha-256\n',
  );
  appendFileSync(join(data, 'pg_ident.conf'), 'breakglass breakglass-db-replica-read breakglass_read\n');
  await sql('create role breakglass_read login; create table orders (id int)');
  await sql('insert into orders select generate_series(1, 42)');
  await sql('grant select on orders to breakglass_read');
  await sql(`alter system set ssl_ca_file = '${ca}'`);
  await sql('select pg_reload_conf()');
  return {
    ...{ kind: 'postgres', user: 'breakglass_read', host: server.host, port: server.port, database },
    ...{ sslMode: 'verify-full', caPem: readFileSync(server.caFile, 'utf8') },
  };
}
