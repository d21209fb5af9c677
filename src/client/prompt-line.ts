/**
 * What a shell shows in its prompt, read by the shell itself: no process is started for it. One row a grant, the next to end first:
 *
 *     1767579240 04:14 P1-123 db-replica:read
 *
 * its end in seconds since 1970, the same as people say it here, and what it is. A shell that has a clock leaves out what has ended and
 * counts the minutes; one that has none shows the time of day, which is true even if nobody has written here for long. A prompt is
 * evaluated by shells, so every row is of characters that mean nothing to any of them, and the shells look again.
 */
import { readSafeFile } from './files.ts';
import type { ClientPaths } from './paths.ts';
import type { StatusBreakGlass, StatusFile, StatusGrant } from './status-file.ts';
import type { FileWrite } from './write-files.ts';

/** All that a row may be. */
const ROW = /^[A-Za-z0-9 ._:/-]{0,64}$/;
const MAX_ROWS = 20;

type Shown = Pick<StatusFile, 'grants'> & { readonly breakGlass: Pick<StatusBreakGlass, 'open'> };

/** The rows for what this device holds at that moment, each with its line end: what was opened by break-glass first. */
export function renderPromptLine({ grants, breakGlass }: Shown, nowMs: number): string {
  const held = grants
    .filter(({ endsAt, credentialExpiresAt }) => credentialExpiresAt !== null && Date.parse(endsAt) > nowMs)
    .sort((a, b) => Date.parse(a.endsAt) - Date.parse(b.endsAt));
  const open = breakGlass.open
    .filter(({ expiresAt }) => Date.parse(expiresAt) > nowMs)
    .sort((a, b) => Date.parse(a.expiresAt) - Date.parse(b.expiresAt));
  return [...open.flatMap(glassRow), ...held.flatMap(rowOf)]
    .slice(0, MAX_ROWS)
    .map((row) => `${row}\n`)
    .join('');
}

/** Where the file says something else than it should: the write that puts it right. */
export function changedPromptLine(paths: ClientPaths, status: Shown, nowMs: number): FileWrite[] {
  const data = renderPromptLine(status, nowMs);
  return readSafeFile(paths.promptFile)?.toString('utf8') === data
    ? []
    : [{ path: paths.promptFile, data, isCopy: true }];
}

function glassRow({ target: { resource, role }, expiresAt }: StatusBreakGlass['open'][number]): string[] {
  const words = [`${resource}:${role}`, resource, ''].map((word) => `BREAK-GLASS ${word}`.trimEnd());
  return firstRow(expiresAt, words);
}

/** The most that fits, of names that are plain enough; none where even the resource's is not. */
function rowOf({ target: { resource, role }, via, incidents, endsAt, renewal }: StatusGrant): string[] {
  const words = [`${resource}:${role}`, resource];
  // More urgent than what it is for.
  const glass = via === 'break-glass' ? words.map((word) => `BREAK-GLASS ${word}`) : [];
  const refused = renewal?.state === 'refused' ? words.map((word) => `not renewed: ${word}`) : [];
  const whole = incidents.slice(-1).map((incident) => `${incident} ${resource}:${role}`);
  return firstRow(endsAt, [...glass, ...refused, ...whole, ...words]);
}

function firstRow(endsAt: string, texts: readonly string[]): string[] {
  const end = new Date(endsAt);
  const clock = [end.getHours(), end.getMinutes()].map((part) => String(part).padStart(2, '0')).join(':');
  const rows = texts.map((text) => `${Math.floor(end.getTime() / 1000)} ${clock} ${text}`);
  return rows.filter((row) => ROW.test(row)).slice(0, 1);
}
