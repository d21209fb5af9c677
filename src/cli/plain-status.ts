/** Plain `status`: one file read, no network, no keychain, no parser. On a budget: see the imports. */
import { existsSync } from 'node:fs';
import { readEndpointFile } from '../client/endpoints.ts';
import { type ClientPaths, resolvePaths } from '../client/paths.ts';
import { readStatusFile, type StatusFile } from '../client/status-file.ts';
import { AppError } from '../protocol/errors.ts';
import type { CommonOptions } from './common-options.ts';
import { type Environment, type Io, type OutputFormat, writeHint, writeResult } from './io.ts';
import { endOf } from './views/grants.ts';
import { statusLines } from './views/status.ts';

export interface PlainStatusInput extends Pick<CommonOptions, 'format' | 'profile'> {
  readonly io: Io;
  readonly env: Environment;
  /** Milliseconds since 1970. */
  readonly now: number;
}

/** A file older than this may have missed something worth knowing. */
const STALE_SECONDS = 15 * 60;

export async function printStatus({ io, env, now, format, profile }: PlainStatusInput): Promise<void> {
  const paths = resolvePaths(env, profile ?? (env.ONCALL_PROFILE || 'default'));
  const status = requireStatus(paths);
  await writeStatus({ io, format, paths, now }, status);
  if (format === 'table' && ageSeconds(status, now) > STALE_SECONDS) {
    await writeHint(io, 'oncall status --refresh asks the broker');
  }
}

/** Throws AppError `not_enrolled`, or `not_found` where nothing was written yet. */
function requireStatus(paths: ClientPaths): StatusFile {
  const status = readStatusFile(paths);
  if (status !== undefined) return status;
  if (existsSync(paths.configFile)) {
    throw new AppError('not_found', 'there is no status yet', { hint: 'oncall status --refresh' });
  }
  throw new AppError('not_enrolled', 'this device is not enrolled', {
    hint: 'ask for an invitation, then: oncall enroll <invitation>',
  });
}

/** The file, less what has ended by itself since it was written. */
export function writeStatus(
  { io, format, paths, now }: { io: Io; format: OutputFormat; paths: ClientPaths; now: number },
  status: StatusFile,
): Promise<void> {
  const { schema: _, ...rest } = {
    ...status,
    unreachableSince: readEndpointFile(paths).unreachableSince,
    ageSeconds: ageSeconds(status, now),
    grants: status.grants.filter((grant) => Date.parse(endOf(grant)) > now),
    pending: status.pending.filter(({ expiresAt }) => Date.parse(expiresAt) > now),
  };
  return writeResult(io, format, { command: 'status', data: rest, lines: () => statusLines(rest, now) });
}

function ageSeconds({ brokerContactAt }: StatusFile, now: number): number {
  return Math.max(0, Math.round((now - Date.parse(brokerContactAt)) / 1000));
}
