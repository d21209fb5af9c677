/**
 * An agent for what this device has come to hold. There is one a profile because there is one lock: whoever gets it starts
 * the agent and hands it over, open, so that from the first moment on nobody else gets it; the system frees it when the agent ends,
 * however it ends. Twenty commands at once start one.
 */
import { spawn } from 'node:child_process';
import { closeSync } from 'node:fs';
import { dirname } from 'node:path';
import { callAgent, isOurs } from './agent-line.ts';
import type { Client } from './client.ts';
import { ensureDir, uid } from './files.ts';
import { loadLocks, openLockFile } from './lock.ts';

/** Where the agent finds its lock and, on its stdin, one line: the device's keys. */
export const LOCK_FD = 3;
/** For one that makes room: it has been told, and has nothing to wait for. */
const [ROOM_MS, LOOK_MS] = [1_000, 10];
/** It does little at a time: glibc's arenas and the pool's threads would each keep memory for work that never comes. */
const SMALL = { MALLOC_ARENA_MAX: '1', UV_THREADPOOL_SIZE: '2' };

/**
 * Fine where one runs already: it gets the device's keys if it lacks them. Never throws: what is held is held, with or
 * without an agent.
 */
export async function startAgent(client: Client): Promise<void> {
  const { context, config, agent, replacesAgent = false } = client;
  const isKept = agent !== undefined && !agent.isGone;
  if (context.agent === undefined || config.agent === 'off' || isKept || uid === undefined) return;
  try {
    const file = await tryLock(context.paths.agentLock, replacesAgent ? ROOM_MS : 0);
    if (file === undefined) await handOver(client);
    else await launch(client, file);
  } catch {
    // The next command tries again.
  }
}

async function tryLock(path: string, patienceMs: number): Promise<number | undefined> {
  ensureDir(dirname(path));
  const locks = await loadLocks();
  const file = openLockFile(path);
  for (let waitedMs = 0; !locks.tryLock(file); waitedMs += LOOK_MS) {
    if (waitedMs >= patienceMs) {
      closeSync(file);
      return undefined;
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
  return file;
}

async function launch({ context, device }: Client, lock: number): Promise<void> {
  const [program = '', ...args] = context.agent?.program ?? [];
  try {
    const { record } = await device();
    const child = spawn(program, [...args, 'agent', '--handed', '--profile', context.paths.profile], {
      // In no folder that somebody may want to unmount, and in no group that a terminal's signals go to.
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore', lock],
      env: { ...context.env, ...SMALL },
    });
    child.on('error', () => {});
    child.stdin?.on('error', () => {});
    child.stdin?.end(`${JSON.stringify({ record })}\n`);
    child.unref();
  } finally {
    closeSync(lock);
  }
}

async function handOver({ context, config, device }: Client): Promise<void> {
  const line = await callAgent(context);
  if (line === undefined || line.greeting.holdsKey || !isOurs(line.greeting, context, config)) return;
  await line.ask({ op: 'hold', record: (await device()).record });
}
