/**
 * Writing where the locale knows no more than ASCII: LANG=C, a serial console, cron. What we draw (bars, dots, arrows) has marks of the
 * same width there, so that what was aligned stays so; only the ellipsis becomes three. All else is written by its number: to a terminal
 * that does not read UTF-8 the bytes of a name are other characters, and some of them steer it (ECMA-48, C1). Loaded where it is needed.
 */
import { escapeNonAscii } from './io.ts';

/** Those of tables and bars, of our own words, and of the prompts and spinners that we use (@inquirer/figures, cli-spinners). */
const MARKS: Readonly<Record<string, string>> = {
  '…': '...',
  '─━═╌┄┈╴╶': '-',
  '│┃║┆┊╵╷': '|',
  '┌┐└┘├┤┬┴┼╭╮╯╰╔╗╚╝╠╣╦╩╬': '+',
  '█▓▉▊▋■◼▮': '#',
  '▒▌▍▎▏▐▄▀': '=',
  '░▯□◻': '.',
  '•·․∙◦': '-',
  '●◉◆⬤◍': '*',
  '○◯◇◌': 'o',
  '✔✓√☑': 'v',
  '✖✗✘×☒': 'x',
  '❯›▶▸►→': '>',
  '❮‹◀◂←': '<',
  '↑▲▴': '^',
  '↓▼▾': 'v',
  '–—': '-',
  '⚠': '!',
  '⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏': '-\\|/-\\|/-\\',
};

const REPLACEMENTS = new Map(
  Object.entries(MARKS).flatMap(([marks, ascii]) =>
    [...marks].map((mark, index) => [mark, ascii.length === marks.length ? (ascii[index] ?? '') : ascii]),
  ),
);
const ANY = new RegExp(`[${[...REPLACEMENTS.keys()].join('')}]`, 'gu');

export function toAscii(text: string): string {
  return escapeNonAscii(text.replace(ANY, (mark) => REPLACEMENTS.get(mark) ?? mark));
}

/** The same stream, on which nothing but ASCII comes out, whoever writes to it. */
export function inAscii<S extends NodeJS.WritableStream>(stream: S): S {
  const original = stream.write.bind(stream) as (text: string, ...rest: unknown[]) => boolean;
  const write = (chunk: string | Uint8Array, ...rest: unknown[]) =>
    original(toAscii(typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8')), ...rest);
  // A spinner puts its own in the place of it for a while, which goes on to what it found there.
  let current: unknown = write;
  return new Proxy(stream, {
    get: (target, name) => {
      if (name === 'write') return current;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
    set: (target, name, value) => {
      if (name !== 'write') return Reflect.set(target, name, value, target);
      current = value;
      return true;
    },
  });
}
