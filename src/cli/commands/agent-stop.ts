import { callAgent } from '../../client/agent-line.ts';
import { withLock } from '../../client/lock.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { writeResult } from '../io.ts';

const END_MS = 10_000;

export const agentStopCommand = defineCommand<null>({
  json: ['agent.stop'],
  examples: [
    ['oncall agent stop', 'end it; what you hold stays until it runs out'],
    ['oncall agent stop --profile staging', 'the agent of another installation'],
  ],
  declare: () => {},
  read: () => null,
  run: runAgentStop,
});

/** Ends it and waits for that. What is held stays, and is renewed by commands alone until one starts another agent. */
export async function runAgentStop(context: Context): Promise<void> {
  const clientContext = await context.clientContext();
  const line = await callAgent(clientContext);
  await line?.ask({ op: 'stop' });
  // Whoever holds its lock has none to wait for.
  await withLock(clientContext.paths.agentLock, async () => {}, { timeoutMs: END_MS }).catch((error) => {
    throw isAppError(error, 'busy') ? stillThere(line?.greeting.pid) : error;
  });
  await writeResult(context.io, context.format, {
    command: 'agent.stop',
    data: { stopped: line !== undefined },
    lines: () => [line === undefined ? 'no agent was running' : 'the agent has ended'],
  });
}

function stillThere(pid: number | undefined): AppError {
  return new AppError('busy', 'the agent does not answer', {
    hint: pid === undefined ? 'oncall agent logs names its process' : `kill ${pid}`,
  });
}
