// A PostgreSQL target brought in the way the product tells its admin to: by the guide's own SQL, run by psql.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import pg from 'pg';
import { expect } from 'vitest';
import type { PostgresSettings, Resource } from '../../src/catalogue/types.ts';
import type { Issued } from '../../src/issuers/issuer.ts';
import { createPostgresIssuer } from '../../src/issuers/postgres.ts';
import { createScramVerifier } from '../../src/protocol/scram.ts';
import { atEnd } from '../support/at-end.ts';
import { type OwnServer, ownServer, type TestDatabase } from '../support/postgres.ts';
import { startProcess } from '../support/process.ts';
import type { Device, World } from './contract.ts';

export interface PostgresWorld extends World {
  server: OwnServer;
  database: TestDatabase;
  settings: PostgresSettings;
  /** A connection with the login's password, or the error. */
  connect(issued: Issued, device: PostgresDevice, database?: string): Promise<pg.Client>;
  createDevice(): PostgresDevice;
  /** The broker's offset from the real time. */
  clock: { skewMs: number };
}

export interface PostgresDevice extends Device {
  password: string;
}

/** The same for every world: several may share a server. */
const BROKER_PASSWORD = randomBytes(12).toString('hex');

export const RIGHTS = `
  create table if not exists public.orders (id int);
  grant usage, create on schema public to readers;
  grant select, trigger on public.orders to readers;`;

export async function startPostgresWorld(
  change: Partial<PostgresSettings> = {},
  server?: OwnServer,
): Promise<PostgresWorld> {
  const target = server ?? (await ownServer());
  const database = await target.database('orders');
  const settings: PostgresSettings = {
    kind: 'postgres',
    host: 'localhost',
    port: target.port,
    database: database.database,
    sslMode: 'verify-full',
    caFile: target.caFile,
    broker: { user: 'oncall_broker', password: { env: 'BROKER_PASSWORD' } },
    quarantineRole: 'oncall_quarantine',
    keepDefiners: false,
    maxRoles: 50,
    roles: new Map([['read', { template: 'readers', description: undefined }]]),
    ...change,
  };
  const resource = resourceWith(settings);
  const clock = { skewMs: 0 };
  const createIssuer = (installation: string) => {
    const made = createPostgresIssuer({
      installation,
      resolveSecret: async () => BROKER_PASSWORD,
      readCa: (file) => readFile(file, 'utf8'),
      now: () => Date.now() + clock.skewMs,
    });
    atEnd(() => made.close());
    return made;
  };
  const issuer = createIssuer(`${database.database}/oncall+00000000`);
  const neighbour = createIssuer(`${database.database}/oncall+00000001`);
  const [roles] = issuer.guide(resource).steps;
  await psql(database, roles!.text.replace('CHANGE-ME', BROKER_PASSWORD));
  await database.sql(RIGHTS);

  async function connect(
    issued: Issued,
    device: PostgresDevice,
    name = database.database,
  ): Promise<pg.Client> {
    const part = issued.publicPart;
    if (part.kind !== 'postgres') throw new Error('not a postgres login');
    const client = new pg.Client({
      host: part.host,
      port: part.port,
      user: part.user,
      password: device.password,
      database: name,
      ssl: { ca: part.caPem! },
      connectionTimeoutMillis: 5_000,
    });
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  function createDevice(): PostgresDevice {
    const secret = randomBytes(18).toString('base64url');
    const device: PostgresDevice = {
      password: secret,
      material: { kind: 'postgres', verifier: createScramVerifier(secret) },
      async login(issued) {
        try {
          const client = await connect(issued, device);
          await client.query('select * from public.orders');
          await client.end();
          return true;
        } catch {
          return false;
        }
      },
    };
    return device;
  }

  return {
    issuer,
    neighbour,
    resource,
    role: 'read',
    createDevice,
    server: target,
    database,
    settings,
    connect,
    clock,
  };
}

export function resourceWith(target: Resource['target']): Resource {
  return {
    id: 'db-replica',
    description: undefined,
    service: 'orders',
    environment: 'production',
    sensitivity: 'medium',
    defaultRole: 'read',
    roles: [...target.roles.keys()],
    session: { defaultSeconds: 7200, maxSeconds: 14_400, maxExtensions: 2 },
    credentialSeconds: 300,
    phase: 1,
    breakGlass: undefined,
    canary: false,
    target,
  };
}

/** Runs a script as the superuser, as an admin would paste it; any error fails the test. */
export async function psql(database: TestDatabase, script: string): Promise<string> {
  const tool = startProcess('psql', ['-X', '-q', database.url], { input: `${script}\n` });
  const { code } = await tool.ended;
  expect({ code, stderr: tool.stderr() }).toEqual({ code: 0, stderr: '' });
  return tool.stdout();
}
