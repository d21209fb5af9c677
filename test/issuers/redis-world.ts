// A Redis target brought in the way the product tells its admin to: by the guide's own lines, through redis-cli and sh.
import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import type { RedisSettings } from '../../src/catalogue/targets/redis.ts';
import type { Issued } from '../../src/issuers/issuer.ts';
import { createRedisIssuer } from '../../src/issuers/redis.ts';
import { atEnd } from '../support/at-end.ts';
import { startProcess } from '../support/process.ts';
import { startRedis, type TestRedis } from '../support/redis-server.ts';
import { tempDir } from '../support/temp.ts';
import type { Device, World } from './contract.ts';
import { resourceWith } from './postgres-world.ts';

export interface RedisDevice extends Device {
  password: string;
}

export interface RedisWorld extends World {
  redis: TestRedis;
  settings: RedisSettings;
  createDevice(): RedisDevice;
  /** Runs the reaper that the guide put on the host, once. */
  reap(): Promise<{ code: number | null; stderr: string }>;
  /** The systemd units that the guide wrote. */
  unitsFolder: string;
  /** The broker's offset from the real time. */
  clock: { skewMs: number };
}

const BROKER_PASSWORD = randomBytes(12).toString('hex');
const REAPER_PASSWORD = randomBytes(12).toString('hex');

export async function startRedisWorld(
  change: Partial<RedisSettings> = {},
  server?: TestRedis,
): Promise<RedisWorld> {
  const redis = server ?? (await startRedis());
  const settings: RedisSettings = {
    kind: 'redis',
    host: redis.host,
    port: redis.port,
    tls: true,
    caFile: redis.caFile,
    broker: { user: 'oncall_broker', password: { env: 'BROKER_PASSWORD' } },
    maxUsers: 50,
    roles: new Map([
      ['read', { rules: ['+@read', '+@pubsub', '+ping', '~*', '&*'], description: undefined }],
    ]),
    ...change,
  };
  const resource = resourceWith(settings);
  const name = randomBytes(4).toString('hex');
  const clock = { skewMs: 0 };
  const createIssuer = (installation: string) => {
    const made = createRedisIssuer({
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
  const host = await bringIn(
    redis,
    issuer.guide(resource).steps.map(({ text }) => text),
  );

  function createDevice(): RedisDevice {
    const password = randomBytes(18).toString('base64url');
    return {
      password,
      material: { kind: 'redis', verifier: createHash('sha256').update(password).digest('hex') },
      login: (issued) => pings(redis, issued, password),
    };
  }

  return { issuer, neighbour, resource, role: 'read', createDevice, redis, settings, clock, ...host };
}

async function pings(redis: TestRedis, { publicPart }: Issued, password: string): Promise<boolean> {
  if (publicPart.kind !== 'redis') throw new Error('not a redis login');
  const { stdout } = await redis.cli(['ping'], { user: publicPart.user, password });
  return stdout === 'PONG\n';
}

/** Follows the guide. Of the host only the paths are moved, into a folder of the test's own. */
export async function bringIn(redis: TestRedis, steps: readonly string[], id = 'db-replica') {
  const [users = '', reaper = ''] = steps;
  const secrets = (text: string) =>
    text.replaceAll('CHANGE-ME-TOO', REAPER_PASSWORD).replaceAll('CHANGE-ME', BROKER_PASSWORD);
  const { stdout } = await redis.cli([], { input: `${secrets(users)}\n` });
  expect(stdout).toMatch(/^OK\nOK\n/);
  const root = tempDir();
  const folders = ['/etc/oncall', '/usr/local/sbin', '/etc/systemd/system'];
  for (const folder of folders) mkdirSync(join(root, folder), { recursive: true });
  const moved = folders.reduce(
    (text, folder) => text.replaceAll(folder, join(root, folder)),
    secrets(reaper),
  );
  // This machine's own systemd is not ours to start.
  const lines = moved.split('\n').filter((line) => !line.startsWith('systemctl '));
  execFileSync('sh', ['-eu'], { input: lines.join('\n') });
  copyFileSync(redis.caFile, join(root, `/etc/oncall/redis-${id}-ca.pem`));
  const reap = async () => {
    const script = startProcess(join(root, `/usr/local/sbin/oncall-redis-${id}`), [], { input: '' });
    const { code } = await script.ended;
    return { code, stderr: script.stderr() };
  };
  expect(await reap()).toEqual({ code: 0, stderr: '' });
  return { reap, unitsFolder: join(root, '/etc/systemd/system'), brokerPassword: BROKER_PASSWORD };
}
