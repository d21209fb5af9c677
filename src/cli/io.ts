/**
 * The screen, and the only file beside main.ts that touches `process`. Its rules:
 *
 *  1. stdout carries the result and nothing else. Everything that is said on the way goes to stderr: notes as
 *     `oncall: …`, then `oncall: warning: …`, `oncall: error: …` and, last, `oncall: hint: …` with the next thing to type.
 *  2. Lower case, no full stop. One error line, at most one hint line.
 *  3. What came from outside (names, reasons, titles, file names, the broker's words) cannot steer the terminal: a line is
 *     made of pieces, each is escaped when it is written, and only then painted. There is no way to write an unescaped one.
 *  4. Colour only on a terminal, never with NO_COLOR or TERM=dumb; FORCE_COLOR forces it. Colour repeats what the words
 *     say and never says anything alone.
 *  5. Nothing is asked where stdin or stderr is not a terminal; prompts and spinners are drawn on stderr.
 *  6. Nothing is cut to the terminal's width: at 02:14 a missing end of a name costs more than a wrapped line.
 *  7. Where the locale is not UTF-8 nothing but ASCII is written: our own marks as what is like them, all else by its number.
 *  8. Who asks for JSON is a program: a note and a warning are objects of their own on stderr, a line each, and the error is the
 *     last one there. Hints behind a result are for people and are left out.
 *  9. A reader who goes away (`| head`) ends us quietly; a disk that is full does not.
 */
import { fstatSync, writeSync } from 'node:fs';
import { escapeForTerminal } from '../protocol/names.ts';
import type { Output, OutputName } from './outputs.ts';

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan';
export type Piece = string | { readonly text: string; readonly style: Style };
export type Line = Piece | readonly Piece[];
export type Environment = Readonly<Record<string, string | undefined>>;
export type OutputFormat = 'table' | 'json' | 'ndjson';

/** One output stream and what is known of the terminal behind it: a value, so a test can set every part. */
export interface Screen {
  write(text: string): void;
  readonly isTerminal: boolean;
  readonly columns: number;
  /** As chalk counts: 0 none, 1 sixteen colours, 2 256 colours, 3 all. */
  readonly colorLevel: 0 | 1 | 2 | 3;
  /** The locale has no more: {@link writeLines}, {@link writeText}, {@link writeJson} and {@link drawingStream} keep to it. */
  readonly isAscii?: boolean;
  /** The stream itself, where prompts, spinners and children need one. */
  readonly stream: NodeJS.WritableStream | undefined;
}

export interface Io {
  readonly stdout: Screen;
  readonly stderr: Screen;
  readonly stdin: { readonly isTerminal: boolean; readonly stream: NodeJS.ReadableStream | undefined };
  /** When it fires, a question is taken off the screen, which is left as it was found. */
  interrupted?: AbortSignal;
  /** Set where JSON is asked for. */
  readonly isForPrograms?: true;
}

/** The same streams, opened as late, for whoever reads this format. */
export function ioFor(io: Io, format: OutputFormat): Io {
  return format === 'table' ? io : Object.create(io, { isForPrograms: { value: true } });
}

/** What runs us: `20.20.2`. */
export const nodeVersion = process.versions.node;

/** The process's own streams, each opened when it is first used: of stdin that keeps a pipe's writer waiting. */
export function processIo(): Io {
  const { env } = process;
  let stdout: Screen | undefined;
  let stderr: Screen | undefined;
  const io: Io = {
    get stdout() {
      stdout ??= screenOf(1, () => process.stdout, env, onFailure);
      return stdout;
    },
    get stderr() {
      stderr ??= screenOf(
        2,
        () => process.stderr,
        env,
        () => {},
      );
      return stderr;
    },
    stdin: {
      get isTerminal() {
        return process.stdin.isTTY === true;
      },
      get stream() {
        return process.stdin;
      },
    },
  };
  // A reader who goes away ends us quietly; a disk that is full must not look like success.
  const onFailure = (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit();
    process.exitCode = 1;
    io.stderr.write(`oncall: error: cannot write the result (${error.code})\n`);
  };
  return io;
}

type OnFailure = (error: NodeJS.ErrnoException) => void;

function screenOf(
  fd: number,
  open: () => NodeJS.WriteStream,
  env: Environment,
  onFailure: OnFailure,
): Screen {
  if (isPlain(fd)) return plainScreen(fd, open, env, onFailure);
  const stream = open().on('error', onFailure);
  const isAscii = !isUtf8(env, process.platform);
  return {
    write: (text) => void stream.write(text),
    isTerminal: stream.isTTY === true,
    columns: stream.columns ?? 80,
    colorLevel: colorLevel(env, stream.isTTY === true),
    isAscii,
    stream,
  };
}

/** A pipe, a file, a socket: written to directly, because opening a stream over it costs more than all else that `status` does. */
function plainScreen(
  fd: number,
  open: () => NodeJS.WriteStream,
  env: Environment,
  onFailure: OnFailure,
): Screen {
  let stream: NodeJS.WriteStream | undefined;
  const openStream = () => {
    stream ??= open().on('error', onFailure);
    return stream;
  };
  return {
    write(text) {
      let bytes: Uint8Array = Buffer.from(text);
      try {
        while (stream === undefined && bytes.length > 0) bytes = bytes.subarray(writeSync(fd, bytes));
      } catch (error) {
        // Somebody made the pipe one that doesn't block, and its reader is slow: a stream can wait, from here on.
        if (!(error instanceof Error && 'code' in error && error.code === 'EAGAIN')) {
          return onFailure(error as NodeJS.ErrnoException);
        }
        openStream();
      }
      stream?.write(bytes);
    },
    isTerminal: false,
    columns: 80,
    colorLevel: colorLevel(env, false),
    isAscii: !isUtf8(env, process.platform),
    get stream() {
      return openStream();
    },
  };
}

/** Whether there is something behind the number, and that is no terminal or other device. */
function isPlain(fd: number): boolean {
  try {
    return !fstatSync(fd).isCharacterDevice();
  } catch {
    return false;
  }
}

/** Whether the locale's characters are UTF-8: locale(7), the first of these that says something. Windows and macOS do not say. */
export function isUtf8(env: Environment, platform: string): boolean {
  const locale = env.LC_ALL || env.LC_CTYPE || env.LANG;
  if (!locale && platform !== 'linux') return true;
  return /utf-?8/i.test(locale ?? '');
}

/** NO_COLOR (no-color.org) beats all but FORCE_COLOR; FORCE_COLOR=0 is no colour. */
export function colorLevel(env: Environment, isTerminal: boolean): Screen['colorLevel'] {
  const forced = env.FORCE_COLOR;
  if (forced !== undefined) {
    if (forced === '0' || forced === 'false') return 0;
    return forced === '2' ? 2 : forced === '3' ? 3 : 1;
  }
  if (env.NO_COLOR || env.TERM === 'dumb' || !isTerminal) return 0;
  if (env.COLORTERM === 'truecolor' || env.COLORTERM === '24bit') return 3;
  return env.TERM?.includes('256') ? 2 : 1;
}

/** Writes lines; each piece is escaped, then painted. chalk is loaded only where there is something to paint. */
export async function writeLines(screen: Screen, lines: readonly Line[]): Promise<void> {
  if (lines.length === 0) return;
  const paint = screen.colorLevel > 0 ? (await import('./paint.ts')).paint : undefined;
  const readable = await reader(screen);
  const shown = (text: string) => readable(escapeForTerminal(text));
  const render = (piece: Piece): string => {
    if (typeof piece === 'string') return shown(piece);
    const text = shown(piece.text);
    return paint ? paint(screen.colorLevel, piece.style, text) : text;
  };
  screen.write(`${lines.map((line) => piecesOf(line).map(render).join('')).join('\n')}\n`);
}

/** Pages of our own, whose lines are as they are to be. */
export async function writeText(screen: Screen, text: string): Promise<void> {
  screen.write((await reader(screen))(text));
}

/** What makes of a text what this screen can show. */
async function reader({ isAscii }: Screen): Promise<(text: string) => string> {
  return isAscii ? (await import('./ascii.ts')).toAscii : (text) => text;
}

/** The stream for whoever writes to it by themselves: prompts and spinners. */
export async function drawingStream({ isAscii, stream }: Screen): Promise<NodeJS.WritableStream | undefined> {
  if (!isAscii || stream === undefined) return stream;
  return (await import('./ascii.ts')).inAscii(stream);
}

/** `\u00e9`, which in JSON is the same text. */
export function escapeNonAscii(text: string): string {
  return text.replace(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** A note on the way: `oncall: …` on stderr. */
export async function note(io: Io, text: Line): Promise<void> {
  if (io.isForPrograms) return writeRemark(io, 'note', textOf(text));
  return writeLines(io.stderr, [['oncall: ', ...piecesOf(text)]]);
}

export async function warn(io: Io, text: string): Promise<void> {
  if (io.isForPrograms) return writeRemark(io, 'warning', text);
  return writeLines(io.stderr, [['oncall: ', { text: 'warning', style: 'yellow' }, `: ${text}`]]);
}

function writeRemark(io: Io, name: 'note' | 'warning', message: string): void {
  const data: Output<'note'> & Output<'warning'> = { message };
  writeJson(io.stderr, 'ndjson', { schema: `oncall.${name}/v1`, ...data });
}

export async function writeError(io: Io, message: string, hint: string | undefined): Promise<void> {
  await writeLines(io.stderr, [['oncall: ', { text: 'error', style: 'red' }, `: ${message}`]]);
  if (hint !== undefined) await writeHint(io, hint);
}

export async function writeHint(io: Io, hint: string): Promise<void> {
  if (io.isForPrograms) return;
  return writeLines(io.stderr, [['oncall: ', { text: 'hint', style: 'cyan' }, `: ${hint}`]]);
}

export function piecesOf(line: Line): readonly Piece[] {
  return typeof line === 'object' && !('text' in line) ? line : [line];
}

export function textOf(line: Line): string {
  return piecesOf(line)
    .map((piece) => (typeof piece === 'string' ? piece : piece.text))
    .join('');
}

/** What a command has to say: the same thing as data and, made only when needed, as lines for people. */
export interface Result<Name extends OutputName> {
  /** In `oncall.<command>/v1`. */
  readonly command: Name;
  readonly data: Output<Name>;
  lines(): readonly Line[];
}

/** Writes a result to stdout in the asked format. ndjson is the same object on one line. */
export async function writeResult<Name extends OutputName>(
  io: Io,
  format: OutputFormat,
  result: Result<Name>,
): Promise<void> {
  if (format === 'table') return writeLines(io.stdout, result.lines());
  writeJson(io.stdout, format, { schema: `oncall.${result.command}/v1`, ...result.data });
}

/** JSON in which no character can steer a terminal: what must be escaped occurs in strings only, where `\uXXXX` is the same text. */
export function writeJson(screen: Screen, format: OutputFormat, value: object): void {
  const text = format === 'ndjson' ? JSON.stringify(value) : JSON.stringify(value, null, 2);
  const safe = text.split('\n').map(escapeForTerminal).join('\n');
  screen.write(`${screen.isAscii ? escapeNonAscii(safe) : safe}\n`);
}
