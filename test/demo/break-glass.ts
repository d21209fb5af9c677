// Break-glass: the broker is killed, the pack on ana's device opens, and everything is accounted for when the broker is back.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { dirname, join } from 'node:path';
import type { PostgresServer } from '../support/postgres-server.ts';
import { query, runQuery } from './database.ts';
import type { Broker } from './installation.ts';
import { serve } from './installation.ts';
import type { Listener } from './listeners.ts';
import { ask, detail, OPERATOR, oncall, step, until } from './stage.ts';

interface Guide {
  steps: { title: string; where: string; text: string }[];
}

const ROLE = 'breakglass-db-replica-read';

/** What `oncall broker target db-replica` prints for break-glass, done as the database's admin would. */
export async function admitBreakGlass(broker: Broker, postgres: PostgresServer): Promise<void> {
  const target = ['broker', 'target', 'db-replica', '--dir', broker.directory];
  const { steps } = await ask<Guide>(OPERATOR, target);
  const ours = steps.filter(({ title }) => title.startsWith('break-glass'));
  const data = join(dirname(postgres.caFile), 'data');
  const [certificate = ''] =
    /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----\n/.exec(
      ours.map(({ text }) => text).join('\n'),
    ) ?? [];
  const list = await download(new URL('/v1/crl/break-glass', broker.url));
  const files = { 'break-glass-ca.pem': certificate, 'break-glass-crl.pem': toPem('X509 CRL', list) };
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(data, name), text);
    // The server runs under another account where this is root.
    chmodSync(join(data, name), 0o644);
  }
  for (const file of ['pg_ident.conf', 'pg_hba.conf']) {
    const lines = ours.find(({ where }) => where.startsWith(file))?.text ?? '';
    writeFileSync(join(data, file), `${lines}\n${readFileSync(join(data, file), 'utf8')}`);
  }
  await query(postgres, 'orders', `CREATE ROLE "${ROLE}" LOGIN INHERIT CONNECTION LIMIT 20`);
  await query(postgres, 'orders', `GRANT oncall_tpl_read TO "${ROLE}" WITH INHERIT TRUE, SET FALSE`);
  await query(postgres, 'orders', `ALTER SYSTEM SET ssl_ca_file = '${join(data, 'break-glass-ca.pem')}'`);
  await query(postgres, 'orders', `ALTER SYSTEM SET ssl_crl_file = '${join(data, 'break-glass-crl.pem')}'`);
  await query(postgres, 'orders', 'SELECT pg_reload_conf()');
}

export async function playBreakGlass(broker: Broker, listeners: readonly Listener[]): Promise<void> {
  step('while all is well, ana, who is on call, has a pack for the day when the broker is not there');
  await oncall('ana', ['status', '--refresh']);

  step('02:14, the broker is killed, and nobody can decide anything');
  await broker.kill();
  await oncall('ana', ['request', 'db-replica'], { codes: [5] });

  step(
    'break-glass: written down first, then opened, with a certificate of one hour that was on the device all the time',
  );
  await oncall('ana', ['break-glass', 'db-replica', '--reason', 'the broker is down, orders are stuck']);
  await runQuery('ana', 'db-replica', "select current_user, count(*) || ' orders' from orders");
  await oncall('ana', ['status']);

  step('the broker is back: before anything else it gets the journal, and everybody hears of it');
  await serve(broker);
  await oncall('ana', ['status', '--refresh']);
  for (const { name, posts } of listeners) {
    await until(`${name} to be told`, () => posts().some((text) => text.includes('break-glass')));
    detail(`told on ${name}`);
  }
  await oncall('ana', ['release', 'db-replica']);

  step('it has to be looked at and cleaned up: a review is open, and the database counts as tainted');
  await oncall('dora', ['break-glass', 'list']);
  const { reviews } = await ask<{ reviews: { id: string }[] }>('dora', ['reviews', 'list']);
  for (const { id } of reviews) {
    await oncall('dora', ['reviews', 'show', id]);
    await oncall('dora', ['reviews', 'close', id, '--outcome', 'justified', '--note', 'the broker was down']);
  }
  await oncall('dora', ['break-glass', 'rotate', 'db-replica']);
}

/** Whoever signed the list is what counts: nobody here knows the broker's TLS key. */
function download(url: URL): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    get(url, { rejectUnauthorized: false }, (response) => {
      if (response.statusCode !== 200) reject(new Error(`${url}: ${response.statusCode}`));
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => resolve(Buffer.concat(chunks)));
    }).on('error', reject);
  });
}

function toPem(label: string, der: Buffer): string {
  const lines = der.toString('base64').match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}
