/**
 * Our lines in a file that is somebody else's: a block between two marks.
 *
 *     # >>> oncall ssh 5d41402abc4b       the digest of the lines between, so that an edit by hand is noticed
 *     Include "/home/ana/.local/state/oncall/tools/ssh_config"
 *     # <<< oncall ssh                    what the file was like before, where taking the block away must know it
 *
 * Texts are bytes as latin1, so whatever encoding the file has comes back unchanged; only our own lines are UTF-8. The line ends
 * are those of the file. Pure.
 */
import { createHash } from 'node:crypto';
import { AppError } from '../protocol/errors.ts';

export interface Marks {
  /** `ssh`, or `ssh@staging` for another profile. */
  readonly name: string;
  /** What begins a comment in this file. */
  readonly comment: string;
  /** As it is named in errors. */
  readonly file: string;
}

export interface FoundBlock {
  readonly lines: readonly string[];
  /** Somebody else changed the lines, or the digest. */
  readonly edited: boolean;
  /** Of the first mark, from 0, and behind the last one. */
  readonly start: number;
  readonly end: number;
  readonly before: Before;
}

/** What there was before the block: a file that ended in a line end, no file, or one whose last line had no end. */
type Before = 'plain' | 'no file' | 'no line end';

const NOTES = {
  plain: '',
  'no file': ' (made this file)',
  'no line end': ' (added a line end above)',
} as const;

/** Undefined where there is none. Throws AppError `corrupt_file`, with line numbers, for anything but one whole block. */
export function findBlock(text: string, marks: Marks): FoundBlock | undefined {
  const lines = splitLines(text);
  const found = lines.flatMap((line, index) => {
    const mark = readMark(line.text, marks.comment);
    return mark === undefined ? [] : [{ ...mark, index }];
  });
  const ours = found.filter(({ name }) => name === marks.name);
  const [first, last] = ours;
  if (first === undefined) return undefined;
  if (ours.length !== 2 || !first.begins || last === undefined || last.begins) throw halfBlock(marks, ours);
  const inside = found.filter(({ index }) => index > first.index && index < last.index);
  if (inside.length > 0) throw halfBlock(marks, [first, ...inside, last]);
  const body = lines.slice(first.index + 1, last.index).map((line) => fromBytes(line.text));
  const [from, to] = [lines[first.index], lines[last.index]];
  return {
    lines: body,
    edited: digestOf(body) !== first.rest,
    start: from?.start ?? 0,
    end: to?.end ?? text.length,
    before: beforeOf(last.rest),
  };
}

/** The text with these lines in its block: in place where there is one, else at the top or at the end. Undefined is no file. */
export function withBlock(
  text: string | undefined,
  lines: readonly string[],
  marks: Marks,
  at: 'top' | 'end',
): string {
  const found = text === undefined ? undefined : findBlock(text, marks);
  if (text !== undefined && found !== undefined) {
    const block = formatBlock(lines, marks, found.before, lineEndOf(text.slice(found.start)));
    return text.slice(0, found.start) + block + text.slice(found.end);
  }
  const eol = lineEndOf(text ?? '');
  if (text === undefined) return formatBlock(lines, marks, 'no file', eol);
  if (at === 'top') {
    // A byte order mark stays the first thing in the file.
    const start = text.startsWith('\xef\xbb\xbf') ? 3 : 0;
    return text.slice(0, start) + formatBlock(lines, marks, 'plain', eol) + text.slice(start);
  }
  const isWhole = text === '' || text.endsWith('\n');
  return isWhole
    ? text + formatBlock(lines, marks, 'plain', eol)
    : text + eol + formatBlock(lines, marks, 'no line end', eol);
}

/** The text without the block; undefined for a file that there would not be without us. */
export function withoutBlock(text: string, marks: Marks): string | undefined {
  const found = findBlock(text, marks);
  if (found === undefined) return text;
  const [above, below] = [text.slice(0, found.start), text.slice(found.end)];
  if (found.before === 'no file' && above + below === '') return undefined;
  // Only while the line end still ends the file: what others have put below needs it. It is one like those of the block.
  const isOurLineEnd = found.before === 'no line end' && below === '';
  const eol = lineEndOf(text.slice(found.start));
  return (isOurLineEnd && above.endsWith(eol) ? above.slice(0, -eol.length) : above) + below;
}

/** Of its first line. */
function lineEndOf(text: string): string {
  return /^[^\n]*\r\n/.test(text) ? '\r\n' : '\n';
}

/** As the block stands in a file. */
export function formatBlock(
  lines: readonly string[],
  { name, comment }: Pick<Marks, 'name' | 'comment'>,
  before: Before = 'plain',
  eol = '\n',
): string {
  const all = [
    `${comment} >>> oncall ${name} ${digestOf(lines)}`,
    ...lines,
    `${comment} <<< oncall ${name}${NOTES[before]}`,
  ];
  return all.map((line) => toBytes(line) + eol).join('');
}

interface Mark {
  readonly begins: boolean;
  readonly name: string;
  readonly rest: string;
}

function readMark(line: string, comment: string): Mark | undefined {
  if (!line.startsWith(`${comment} `)) return undefined;
  const match = /^(>>>|<<<) oncall ([a-z0-9@-]+)(?: (.*?))?\s*$/.exec(line.slice(comment.length + 1));
  if (match === null) return undefined;
  return { begins: match[1] === '>>>', name: match[2] ?? '', rest: match[3] ?? '' };
}

function beforeOf(note: string): Before {
  if (` ${note}` === NOTES['no file']) return 'no file';
  return ` ${note}` === NOTES['no line end'] ? 'no line end' : 'plain';
}

interface TextLine {
  /** Without its line end. */
  readonly text: string;
  readonly start: number;
  /** Behind its line end. */
  readonly end: number;
}

function splitLines(text: string): TextLine[] {
  return [...text.matchAll(/[^\n]*\n|[^\n]+$/g)].map((match) => ({
    text: match[0].replace(/\r?\n$/, ''),
    start: match.index,
    end: match.index + match[0].length,
  }));
}

function digestOf(lines: readonly string[]): string {
  return createHash('sha256').update(lines.join('\n')).digest('hex').slice(0, 12);
}

function toBytes(line: string): string {
  return Buffer.from(line, 'utf8').toString('latin1');
}

function fromBytes(line: string): string {
  return Buffer.from(line, 'latin1').toString('utf8');
}

function halfBlock({ name, file }: Marks, marks: readonly (Mark & { index: number })[]): AppError {
  const where = marks
    .map(({ begins, index }) => `${begins ? 'begin' : 'end'} in line ${index + 1}`)
    .join(', ');
  return new AppError('corrupt_file', `${file} has no whole block of oncall ${name}: ${where}`, {
    hint: 'take these marks and what is ours between them out of the file, then try again',
  });
}
