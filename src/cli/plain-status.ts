/** Plain `status`: one file read, no network, no keychain, no parser. On a budget: see the imports. */
import { existsSync } from 'node:fs';
import { readEndpointFile } from '../client/endpoints.ts';
import { type ClientPaths, resolvePaths } from '../client/paths.ts';
import { readStatusFile, type StatusFile, type StatusGrant } from '../client/status-file.ts';
import { formatDuration } from '../protocol/durations.ts';
import { AppError } from '../protocol/errors.ts';
import type { CommonOptions, StatusCheck } from './common-options.ts';
import { type Environment, type Io, type OutputFormat, writeHint, writeResult } from './io.ts';
import { relativeTime } from './times.ts';
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

export async function printStatus(input: PlainStatusInput): Promise<void> {
  const { io, now, format } = input;
  const paths = pathsOf(input);
  const status = requireStatus(paths);
  await writeStatus({ io, format, paths, now }, status);
  if (format === 'table' && ageSeconds(status, now) > STALE_SECONDS) {
    await writeHint(io, 'oncall status --refresh asks the broker');
  }
}

/**
 * Whether what the file knows of a target is good for so long: then nothing is said, but in JSON. Else the AppError `expired`, or
 * `ended`, is returned when the result has been written. A renewal that was refused makes the credential's end the end.
 */
export async function printCheck(
  input: PlainStatusInput,
  { target, neededSeconds }: StatusCheck,
): Promise<AppError | undefined> {
  const { io, now, format } = input;
  const name = target.role === undefined ? target.resource : `${target.resource}:${target.role}`;
  const [best] = requireStatus(pathsOf(input))
    .grants.filter(
      (grant) =>
        grant.target.resource === target.resource &&
        (target.role === undefined || grant.target.role === target.role),
    )
    .map((grant) => ({ grant, endsAt: usableUntil(grant) }))
    .sort((a, b) => Date.parse(b.endsAt) - Date.parse(a.endsAt));
  const leftMs = best === undefined ? 0 : Math.max(0, Date.parse(best.endsAt) - now);
  const good = leftMs > 0 && leftMs >= neededSeconds * 1000;
  if (format !== 'table') {
    const leftSeconds = Math.floor(leftMs / 1000);
    const data = { target: name, good, endsAt: best?.endsAt ?? null, leftSeconds, neededSeconds };
    const command = 'status.check';
    await writeResult(io, format, {
      command,
      data: { ...data, grantId: best?.grant.id ?? null },
      lines: () => [],
    });
  }
  if (good) return undefined;
  if (best === undefined || leftMs === 0) {
    return new AppError('ended', `you hold no access to ${name}`, { hint: `oncall request ${name}` });
  }
  const words = `${name} ends ${relativeTime(Date.parse(best.endsAt), now)}, ${formatDuration(neededSeconds)} are needed`;
  return new AppError('expired', words, { hint: `oncall renew ${name}` });
}

function usableUntil(grant: StatusGrant): string {
  const end = endOf(grant);
  const { renewal, credentialExpiresAt } = grant;
  if (renewal?.state !== 'refused' || credentialExpiresAt === null) return end;
  return credentialExpiresAt < end ? credentialExpiresAt : end;
}

function pathsOf({ env, profile }: PlainStatusInput): ClientPaths {
  return resolvePaths(env, profile ?? (env.ONCALL_PROFILE || 'default'));
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
    breakGlass: {
      ...status.breakGlass,
      open: status.breakGlass.open.filter(({ expiresAt }) => Date.parse(expiresAt) > now),
    },
  };
  return writeResult(io, format, { command: 'status', data: rest, lines: () => statusLines(rest, now) });
}

function ageSeconds({ brokerContactAt }: StatusFile, now: number): number {
  return Math.max(0, Math.round((now - Date.parse(brokerContactAt)) / 1000));
}
