import { connect, createServer, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { atEnd } from '../support/at-end.ts';
import { part } from '../support/parts.ts';
import { freePort, waitFor } from '../support/temp.ts';
import { codeOf, createLogin, LIFE_MS } from './contract.ts';
import { type RedisWorld, startRedisWorld } from './redis-world.ts';

describe.skipIf(!part('redis'))('a redis target in trouble', () => {
  let world: Promise<RedisWorld> | undefined;
  const shared = (): Promise<RedisWorld> => {
    world ??= startRedisWorld();
    return world;
  };
  async function lineOf(own: RedisWorld, handle: string): Promise<string | undefined> {
    const lines = (await own.redis.admin('ACL', 'LIST')).split('\n');
    return lines.find((line) => line.startsWith(`user ${handle} `));
  }

  test('that is down makes no login and says to try again; nothing is left of it', async () => {
    const own = await shared();
    await own.redis.stop('crash');
    const login = createLogin(own);
    expect(await codeOf(login.issue())).toBe('target_unreachable');
    expect(await codeOf(login.end())).toBe('target_unreachable');
    expect(await codeOf(login.prove())).toBe('target_unreachable');
    await own.redis.start();
    expect(await lineOf(own, login.handle)).toBeUndefined();
    await login.issue();
    expect(await login.works()).toBe(true);
    await login.end();
  });

  test('that is down at the end, and starts again with what was saved, loses the login then', async () => {
    const own = await shared();
    const login = createLogin(own);
    await login.issue();
    await own.redis.admin('ACL', 'SAVE');
    await own.redis.stop('shutdown');
    expect(await codeOf(login.end())).toBe('target_unreachable');
    expect(await codeOf(login.prove())).toBe('target_unreachable');
    await own.redis.start();
    expect(await login.prove()).toMatchObject({ state: 'unproven' });
    await login.end();
    expect(await login.prove()).toMatchObject({ state: 'proven' });
  });

  test('that forgot its users at a restart says of a renewal that the login has ended', async () => {
    const own = await shared();
    const login = createLogin(own);
    await login.issue();
    await own.redis.stop('crash');
    await own.redis.start();
    expect(await codeOf(login.renew())).toBe('ended');
    expect(await lineOf(own, login.handle)).toBeUndefined();
  });

  test('that is frozen is given up at the signal, and makes nothing when it thaws', async () => {
    const own = await shared();
    const warm = createLogin(own);
    await warm.issue();
    const login = createLogin(own);
    own.redis.pause();
    const deadlineMs = Date.now() + 600;
    const issuing = codeOf(login.issue({ deadlineMs, signal: AbortSignal.timeout(500) }));
    const ending = codeOf(warm.end({ signal: AbortSignal.timeout(500) }));
    expect(await issuing).toBe('target_unreachable');
    expect(await ending).toBe('target_unreachable');
    await waitFor(() => Date.now() > deadlineMs, { what: 'the end of the lease' });
    own.redis.resume();
    await warm.end();
    expect(await lineOf(own, login.handle)).toBeUndefined();
  });

  test('that gets what was sent in time after the lease does nothing, for a renewal neither', async () => {
    const own = await shared();
    const relay = await startRelay(own.redis.plainPort);
    const change = { host: '127.0.0.1', port: relay.port, tls: false };
    const behind = await startRedisWorld(change, own.redis);
    const login = createLogin(behind);
    await login.issue();
    const before = await lineOf(own, login.handle);
    const late = createLogin(behind);
    for (const call of [
      () => late.issue({ deadlineMs: Date.now() + 800 }),
      () => login.renew({ lifeMs: LIFE_MS * 2, deadlineMs: Date.now() + 800 }),
    ]) {
      const deadlineMs = Date.now() + 850;
      const exec = relay.hold('EXEC');
      const called = codeOf(call());
      await exec;
      await waitFor(() => Date.now() > deadlineMs, { what: 'the end of the lease' });
      relay.letGo();
      expect(await called).toBe('target_unreachable');
    }
    expect(await lineOf(own, late.handle)).toBeUndefined();
    expect(await lineOf(own, login.handle)).toBe(before);
    await login.end();
  });

  test('that gets an end between a renewal’s look and its deed does not make the user again', async () => {
    const own = await shared();
    const relay = await startRelay(own.redis.plainPort);
    const behind = await startRedisWorld({ host: '127.0.0.1', port: relay.port, tls: false }, own.redis);
    const login = createLogin(behind);
    await login.issue();
    const exec = relay.hold('EXEC');
    const renewing = codeOf(login.renew());
    await exec;
    await own.issuer.end({
      subject: { ...login.subject, resource: own.resource },
      handle: login.handle,
      publicPart: undefined,
      expiresAtMs: Date.now(),
      nowMs: Date.now(),
      signal: AbortSignal.timeout(5_000),
    });
    relay.letGo();
    expect(await renewing).toBe('ended');
    expect(await lineOf(own, login.handle)).toBeUndefined();
  });

  test('that is asked after the lease does nothing, for a renewal neither', async () => {
    const own = await shared();
    const late = createLogin(own);
    expect(await codeOf(late.issue({ deadlineMs: Date.now() - 1 }))).toBe('target_unreachable');
    expect(await lineOf(own, late.handle)).toBeUndefined();
    const login = createLogin(own);
    await login.issue();
    const before = await lineOf(own, login.handle);
    const renewal = login.renew({ lifeMs: LIFE_MS * 2, deadlineMs: Date.now() - 1 });
    expect(await codeOf(renewal)).toBe('target_unreachable');
    expect(await lineOf(own, login.handle)).toBe(before);
    await login.end();
  });

  test.each([
    ['full memory', ['CONFIG', 'SET', 'maxmemory', '1'], ['CONFIG', 'SET', 'maxmemory', '0']],
    ['a replica', ['REPLICAOF', '127.0.0.1', '1'], ['REPLICAOF', 'NO', 'ONE']],
    [
      'too few replicas',
      ['CONFIG', 'SET', 'min-replicas-to-write', '3'],
      ['CONFIG', 'SET', 'min-replicas-to-write', '0'],
    ],
  ])('that takes no writes (%s) still lets in, renews and ends', async (_, harm, repair) => {
    const own = await shared();
    await own.redis.admin(...harm);
    try {
      const login = createLogin(own);
      await login.issue();
      expect(await login.works()).toBe(true);
      const before = await lineOf(own, login.handle);
      await login.renew({ lifeMs: LIFE_MS * 2 });
      expect(await lineOf(own, login.handle)).not.toBe(before);
      expect(await codeOf(createLogin(own).renew())).toBe('ended');
      expect(await codeOf(createLogin(own).issue({ deadlineMs: Date.now() - 1 }))).toBe('target_unreachable');
      await login.end();
      expect(await login.prove()).toMatchObject({ state: 'proven' });
    } finally {
      await own.redis.admin(...repair);
    }
  });

  test('whose ACL file cannot be written has not ended the login for good, and says so', async () => {
    const own = await startRedisWorld();
    const login = createLogin(own);
    await login.issue();
    await own.redis.admin('ACL', 'SETUSER', 'oncall_broker', '-acl|save');
    expect(await codeOf(login.end())).toBe('target_refused');
    await own.redis.admin('ACL', 'SETUSER', 'oncall_broker', '+acl|save');
    await login.end();
  });

  test('that knows the broker by another password refuses, without a word of it in the message', async () => {
    const own = await startRedisWorld();
    await own.redis.admin('ACL', 'SETUSER', 'oncall_broker', 'resetpass', '>another');
    const error = await createLogin(own)
      .issue()
      .catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'target_refused', message: expect.not.stringContaining('password') });
  });
});

/** Stands between the broker and the server, and holds back what the broker sends from a word on. */
async function startRelay(serverPort: number) {
  const port = await freePort();
  const sockets = new Set<Socket>();
  let word: string | undefined;
  let seen: () => void = () => {};
  let held: (() => void)[] = [];
  const relay = createServer((client) => {
    const server = connect(serverPort, '127.0.0.1');
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => other.end());
    }
    server.pipe(client);
    client.on('data', (data) => {
      if (word === undefined || !data.includes(word)) return void server.write(data);
      held.push(() => server.write(data));
      seen();
    });
  });
  await new Promise<void>((resolve) => relay.listen(port, '127.0.0.1', resolve));
  atEnd(() => {
    for (const socket of sockets) socket.destroy();
    relay.close();
  });
  return {
    port,
    /** Resolves when something is held back. */
    hold(from: string): Promise<void> {
      word = from;
      return new Promise((resolve) => {
        seen = resolve;
      });
    },
    letGo(): void {
      word = undefined;
      for (const go of held) go();
      held = [];
    },
  };
}
