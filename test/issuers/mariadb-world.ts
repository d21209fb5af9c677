// A MariaDB target brought in the way the product tells its admin to: by the guide's own SQL, run by the mariadb client.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { MariadbSettings } from '../../src/catalogue/targets/mariadb.ts';
import type { Issued } from '../../src/issuers/issuer.ts';
import { createMariadbIssuer } from '../../src/issuers/mariadb.ts';
import { createMariadbVerifier } from '../../src/protocol/mariadb-ed25519.ts';
import { atEnd } from '../support/at-end.ts';
import { startMariadb, type TestMariadb } from '../support/mariadb-server.ts';
import type { TestProcess } from '../support/process.ts';
import type { Device, World } from './contract.ts';
import { resourceWith } from './postgres-world.ts';

export interface MariadbDevice extends Device {
  password: string;
}

export interface MariadbWorld extends World {
  server: TestMariadb;
  settings: MariadbSettings;
  createDevice(): MariadbDevice;
  /** A session that stays open and has answered once. */
  open(issued: Issued, device: MariadbDevice): Promise<TestProcess>;
  /** The broker's offset from the real time. */
  clock: { skewMs: number };
}

/** The same for every world: several may share a server. */
export const BROKER_PASSWORD = randomBytes(16).toString('hex');

export async function startMariadbWorld(
  change: Partial<MariadbSettings> = {},
  shared?: TestMariadb,
): Promise<MariadbWorld> {
  const server = shared ?? (await startMariadb());
  const settings: MariadbSettings = {
    kind: 'mariadb',
    host: 'localhost',
    port: server.port,
    database: 'orders',
    sslMode: 'verify-full',
    caFile: server.caFile,
    broker: { user: 'oncall_broker', password: { env: 'BROKER_PASSWORD' } },
    maxAccounts: 50,
    roles: new Map([['read', { grant: 'readers', description: undefined }]]),
    ...change,
  };
  const resource = resourceWith(settings);
  const name = randomBytes(4).toString('hex');
  const clock = { skewMs: 0 };
  const createIssuer = (installation: string) => {
    const made = createMariadbIssuer({
      installation,
      resolveSecret: async () => BROKER_PASSWORD,
      readCa: (file) => readFile(file, 'utf8'),
      now: () => Date.now() + clock.skewMs,
    });
    atEnd(() => made.close());
    return made;
  };
  const issuer = createIssuer(`${name}/oncall+00000000`);
  const neighbour = createIssuer(`${name}/oncall+00000001`);
  await bringIn(
    server,
    issuer.guide(resource).steps.map(({ text }) => text),
  );

  function createDevice(): MariadbDevice {
    const password = randomBytes(16).toString('hex');
    return {
      password,
      material: { kind: 'mariadb', verifier: createMariadbVerifier(password) },
      async login(issued) {
        const { stdout } = await server.client(
          loginOf(issued, password),
          'SELECT COUNT(*) FROM orders.orders',
        );
        return stdout === '0\n';
      },
    };
  }

  async function open(issued: Issued, device: MariadbDevice): Promise<TestProcess> {
    const session = server.open(loginOf(issued, device.password));
    session.write("SELECT 'come in';\n");
    await session.waitForOutput('come in');
    return session;
  }

  return { issuer, neighbour, resource, role: 'read', createDevice, server, settings, open, clock };
}

function loginOf({ publicPart }: Issued, password: string): { user: string; password: string } {
  if (publicPart.kind !== 'mariadb') throw new Error('not a mariadb login');
  return { user: publicPart.user, password };
}

/** Follows the guide, with a client that comes with another character set than the guide's. */
export async function bringIn(server: TestMariadb, steps: readonly string[]): Promise<void> {
  const [setUp = '', rights = '', scheduler = ''] = steps;
  await server.admin(
    'CREATE DATABASE IF NOT EXISTS orders; CREATE TABLE IF NOT EXISTS orders.orders (id INT);',
  );
  await server.admin(`SET NAMES latin1;\n${setUp.replace('CHANGE-ME', BROKER_PASSWORD)}`);
  await server.admin(`${rights}\n${scheduler}`);
}
