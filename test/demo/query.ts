// The smallest PostgreSQL client: runs one query with what `oncall run` exported, for machines that have no psql.
import { readFileSync } from 'node:fs';
import pg from 'pg';

async function main(sql: string): Promise<void> {
  const { PGHOST, PGPORT, PGUSER, PGDATABASE, PGPASSFILE = '', PGSSLROOTCERT } = process.env;
  // host:port:database:user:password, with a backslash before every colon of a value.
  const fields = (readFileSync(PGPASSFILE, 'utf8').split('\n')[0] ?? '').split(/(?<!\\):/);
  const client = new pg.Client({
    host: PGHOST,
    port: Number(PGPORT),
    user: PGUSER,
    database: PGDATABASE,
    password: fields[4]?.replace(/\\(.)/g, '$1'),
    ...(PGSSLROOTCERT && { ssl: { ca: readFileSync(PGSSLROOTCERT, 'utf8') } }),
  });
  await client.connect();
  const { rows } = await client.query(sql);
  for (const row of rows) process.stdout.write(`${Object.values(row).join(' | ')}\n`);
  await client.end();
}

main(process.argv[2] ?? 'select 1').catch((error: Error) => {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
});
