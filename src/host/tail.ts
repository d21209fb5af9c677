/**
 * What was added to a log since last time, through rotations of every kind. A file is known by its first line, not by its name or
 * inode: a file that was renamed has it still, the copy of one that was truncated has it too, and one that begins anew has another.
 */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readdirSync, readSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isSystemError } from '../client/files.ts';

export interface Place {
  /** SHA-256 of the file's first line, or of its first 4 KiB. */
  head: string;
  /** Bytes that are done with: up to the end of a line. */
  offset: number;
}

export interface Tail {
  lines: string[];
  place: Place | null;
  /** The file that was read last is gone, and how much was left of it nobody knows. */
  isGap: boolean;
}

const HEAD_BYTES = 4096;
const CHUNK_BYTES = 1024 * 1024;
const PACKED = /\.(gz|xz|bz2|zst|lz4)$/;

/**
 * `path`: a file, beside which rotation may leave others whose names begin alike; or with `*` in its last part. At most 1 MiB at once:
 * the rest comes next time. Without a place: the newest file from its beginning. A file that cannot be read is an error of the
 * operating system.
 */
export function readTail(path: string, place: Place | null): Tail {
  const files = filesOf(path);
  let index = place === null ? files.length - 1 : files.findIndex(({ head }) => head === place.head);
  const isGap = place !== null && index < 0 && files.length > 0;
  let offset = place !== null && index >= 0 ? place.offset : 0;
  if (isGap) index = 0;
  // Told twice it is one login: of what is there, all is read.
  for (; index >= 0 && index < files.length; index += 1, offset = 0) {
    const file = files[index];
    if (file === undefined) break;
    const { lines, next } = readLines(file.path, Math.min(offset, file.size));
    const isLast = index === files.length - 1;
    if (lines.length > 0 || isLast || next > offset)
      return { lines, place: { head: file.head, offset: next }, isGap };
  }
  return { lines: [], place, isGap: false };
}

interface LogFile {
  path: string;
  head: string;
  size: number;
  changedAt: number;
}

/** Oldest first. */
function filesOf(path: string): LogFile[] {
  const [folder, name] = [dirname(path), basename(path)];
  const [before = '', after] = name.split('*');
  const names = readdirSync(folder).filter((each) =>
    after === undefined
      ? each.startsWith(name) && !PACKED.test(each)
      : each.startsWith(before) && each.endsWith(after),
  );
  return names
    .flatMap((each) => describe(join(folder, each)) ?? [])
    .sort((a, b) => a.changedAt - b.changedAt || b.path.length - a.path.length || (a.path < b.path ? -1 : 1));
}

/** Undefined where there is no whole line yet, or no file any more. */
function describe(path: string): LogFile | undefined {
  try {
    const { size, mtimeMs } = statSync(path);
    const start = readAt(path, 0, HEAD_BYTES);
    const end = start.indexOf('\n');
    if (end < 0 && start.length < HEAD_BYTES) return undefined;
    const head = createHash('sha256').update(end < 0 ? start : start.subarray(0, end));
    return { path, head: head.digest('base64url'), size, changedAt: mtimeMs };
  } catch (error) {
    if (isSystemError(error, 'ENOENT', 'EISDIR')) return undefined;
    throw error;
  }
}

function readLines(path: string, offset: number): { lines: string[]; next: number } {
  const chunk = readAt(path, offset, CHUNK_BYTES);
  const end = chunk.lastIndexOf('\n');
  if (end < 0) return { lines: [], next: chunk.length < CHUNK_BYTES ? offset : afterLine(path, offset) };
  return { lines: chunk.subarray(0, end).toString('utf8').split('\n'), next: offset + end + 1 };
}

/** Past a line that is longer than all that is read at once: it is no login, and its middle must not be taken for a line. */
function afterLine(path: string, offset: number): number {
  for (let at = offset + CHUNK_BYTES; ; at += CHUNK_BYTES) {
    const chunk = readAt(path, at, CHUNK_BYTES);
    const end = chunk.indexOf('\n');
    if (end >= 0) return at + end + 1;
    if (chunk.length < CHUNK_BYTES) return offset;
  }
}

function readAt(path: string, offset: number, length: number): Buffer {
  const file = openSync(path, 'r');
  try {
    const buffer = Buffer.alloc(length);
    return buffer.subarray(0, readSync(file, buffer, 0, length, offset));
  } finally {
    closeSync(file);
  }
}
