import { callAgent } from '../../client/agent-line.ts';
import { formatTarget, type TargetRef } from '../../protocol/names.ts';
import { defineCommand } from '../command.ts';
import type { Context } from '../context.ts';
import { type Line, writeResult } from '../io.ts';
import { tableLines } from '../table.ts';
import { bothTimes, relativeTime } from '../times.ts';

export const agentStatusCommand = defineCommand<null>({
  json: ['agent.status'],
  examples: [
    ['oncall agent status', 'whether one runs, and what it renews when'],
    ['oncall agent status --json', 'the same for a script'],
  ],
  declare: () => {},
  read: () => null,
  run: runAgentStatus,
});

interface Kept {
  readonly id: string;
  readonly target: TargetRef;
  readonly endsAt: string;
  readonly credentialRunsOutAt: string | null;
  readonly renewsAt: string | null;
  readonly extendsAt: string | null;
}

interface AgentStatus {
  readonly pid: number;
  readonly version: string;
  readonly broker: string;
  readonly user: string;
  readonly startedAt: string;
  readonly brokerHeardAt: string | null;
  readonly holdsKey: boolean;
  readonly rssBytes: number;
  readonly grants: readonly Kept[];
}

/** That none runs is no failure: the next command that holds something starts one. */
export async function runAgentStatus(context: Context): Promise<void> {
  const line = await callAgent(await context.clientContext());
  const answered = await line?.ask({ op: 'status' });
  const status = answered?.value as AgentStatus | undefined;
  await writeResult(context.io, context.format, {
    command: 'agent.status',
    data: status === undefined ? { running: false } : { running: true, ...status },
    lines: () => (status === undefined ? ['no agent is running'] : statusLines(status, context.now())),
  });
}

function statusLines(status: AgentStatus, now: number): Line[] {
  const { pid, version, startedAt, brokerHeardAt, holdsKey, rssBytes, grants } = status;
  const ago = (instant: string) => relativeTime(Date.parse(instant), now);
  return [
    [{ text: 'running', style: 'green' }, ` as ${pid}, version ${version}, started ${ago(startedAt)}`],
    `uses ${Math.round(rssBytes / 1e6)} MB`,
    brokerHeardAt === null
      ? { text: 'has not heard the broker yet', style: 'yellow' }
      : `heard the broker ${ago(brokerHeardAt)}`,
    ...(holdsKey ? [] : [{ text: 'waits for the keys of this device', style: 'yellow' } as const]),
    ...(grants.length === 0 ? ['keeps nothing'] : keptLines(grants, now)),
  ];
}

function keptLines(grants: readonly Kept[], now: number): Line[] {
  const at = (instant: string | null) =>
    instant === null ? 'never' : relativeTime(Date.parse(instant), now);
  return tableLines(grants, [
    { header: 'TARGET', cell: ({ target }) => ({ text: formatTarget(target), style: 'bold' }) },
    { header: 'ENDS', cell: ({ endsAt }) => bothTimes(endsAt, now) },
    { header: 'CREDENTIAL ENDS', cell: ({ credentialRunsOutAt }) => at(credentialRunsOutAt) },
    { header: 'RENEWED', cell: ({ renewsAt }) => at(renewsAt) },
    { header: 'GRANT', cell: ({ id }) => id },
  ]);
}
