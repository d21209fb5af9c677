// Access that outlives its credentials: an agent renews them under a session that stays open, and a release ends all of it.
import { readFileSync } from 'node:fs';
import pg from 'pg';
import type { MoreServer } from '../support/more-servers.ts';
import type { PostgresServer } from '../support/postgres-server.ts';
import { postgresUrl } from '../support/postgres-server.ts';
import { loginOf, untilRefused } from './database.ts';
import { MORE } from './setting.ts';
import { ask, atEnd, detail, oncall, step, until } from './stage.ts';

const RENEWALS = 3;
const AGENT = { agent: true };

interface Held {
  grants: { target: { resource: string }; credentialExpiresAt: string | null }[];
}

interface Entries {
  entries: { event: string; subject?: Record<string, string>; data?: { proof?: { method?: string } } }[];
}

export async function playStayAlive(postgres: PostgresServer, more: readonly MoreServer[]): Promise<void> {
  step('credentials of 20 seconds, and a session that stays: an agent, started by the request, renews them');
  await oncall('dora', ['incident', 'declare', 'P1-125', '--service', 'orders', '--priority', 'P1'], {
    quiet: true,
  });
  atEnd(() => oncall('ana', ['agent', 'stop'], { ...AGENT, quiet: true, codes: [0, 1, 4] }));
  await oncall('ana', ['request', 'orders-tools', '-i', 'P1-125'], AGENT);
  const login = await loginOf('ana', 'orders-db', AGENT);
  const session = new pg.Client({
    connectionString: postgresUrl({ ...postgres, port: postgres.port, ...login }, 'orders'),
    ssl: { ca: readFileSync(postgres.caFile, 'utf8') },
  });
  let cut = '';
  session.on('error', (error) => {
    cut = error.message;
  });
  await session.connect();
  atEnd(() => session.end().catch(() => {}));
  const backend = async () => {
    const { rows } = await session.query("select current_user || ', backend ' || pg_backend_pid() as who");
    return (rows[0] as { who: string }).who;
  };
  const before = await backend();
  detail(`a session is open: ${before}`);
  for (const { kind } of more)
    await oncall('ana', ['run', MORE[kind].resource, '--', ...MORE[kind].client], AGENT);

  const ends = new Set<string>();
  await until(
    'three renewals',
    async () => {
      const { grants } = await ask<Held>('ana', ['status']);
      const found = grants.find(({ target }) => target.resource === 'orders-db')?.credentialExpiresAt;
      if (typeof found === 'string' && !ends.has(found)) {
        if (ends.size > 0)
          detail(`renewed by the agent, now until ${new Date(found).toLocaleTimeString('sv')}`);
        ends.add(found);
      }
      return ends.size > RENEWALS;
    },
    60_000,
  );
  const after = await backend();
  if (after !== before) throw new Error(`another session: ${after}`);
  detail(`the session is still the same: ${after}`);
  await oncall('ana', ['agent', 'status'], AGENT);

  step('released: sessions are cut, logins are refused, and the log has the proof of each');
  await oncall('ana', ['release', ...['orders-db', ...more.map(({ kind }) => MORE[kind].resource)]], AGENT);
  await until('the session to be cut', () => cut !== '');
  detail(`the open session: ${cut}`);
  await untilRefused(postgres, login);
  const proofs = new Map<string, string>();
  await until('the proofs', async () => {
    const { entries } = await ask<Entries>('dora', ['audit', 'list', '--limit', '40']);
    for (const { event, subject, data } of entries)
      if (event === 'credential.ended') proofs.set(subject?.handle ?? '', data?.proof?.method ?? '');
    return proofs.has(login.user) && proofs.size > more.length;
  });
  for (const [handle, method] of proofs) detail(`proven: ${handle} (${method})`);
  await oncall('dora', ['audit', 'who', login.user]);
  await oncall('ana', ['agent', 'stop'], AGENT);
  await oncall('dora', ['incident', 'resolve', 'P1-125'], { quiet: true });
}
