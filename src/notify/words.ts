/**
 * The words of a notice. Attacker-controlled: who, what, why and even names come from people, incidents and alerts, so
 * every text is cut to a length, free of control and direction characters, and on one line.
 */
import { escapeForTerminal } from '../protocol/names.ts';
import type { Notice } from './notice.ts';

const TITLE_LENGTH = 140;
const TEXT_LENGTH = 300;
const WHY_LENGTH = 600;
const NAME_LENGTH = 60;
const NAMES = 10;

export type Words = Record<'title' | 'who' | 'what' | 'why' | 'howLong' | 'rule' | 'command', string> & {
  /** The names of those it is for. */
  to: string;
};

export function wordsOf(notice: Notice): Words {
  return {
    title: clip(notice.title, TITLE_LENGTH),
    who: clip(notice.who, TEXT_LENGTH),
    what: clip(notice.what, TEXT_LENGTH),
    why: clip(notice.why, WHY_LENGTH),
    howLong: clip(notice.howLong, TEXT_LENGTH),
    rule: clip(notice.rule, TEXT_LENGTH),
    command: clip(notice.command, TEXT_LENGTH),
    to: listNames(notice),
  };
}

/** Who, what, why, how long, by which rule, as people read them; what the notice leaves empty is absent. */
export function listFacts(words: Words): { label: string; text: string }[] {
  return [
    { label: 'Who', text: words.who },
    { label: 'What', text: words.what },
    { label: 'Why', text: words.why },
    { label: 'How long', text: words.howLong },
    { label: 'Rule', text: words.rule },
  ].filter(({ text }) => text !== '');
}

/** All of it as lines of plain text, the command on a line of its own. */
export function formatPlainText(notice: Notice): string {
  const words = wordsOf(notice);
  const lines = [...listFacts(words), { label: 'For', text: words.to }].map(
    ({ label, text }) => `${`${label}:`.padEnd(10)}${text}`,
  );
  const answer = words.command === '' ? [] : ['', 'To answer:', `  ${words.command}`];
  return [words.title, '', ...lines, ...answer, ''].join('\n');
}

/** The beginning of a text, escaped, in at most `maxLength` UTF-16 code units: an escape is never cut in two. */
export function clip(text: string, maxLength: number, escapeText = escapeForTerminal): string {
  let whole = '';
  let shorter = '';
  for (const char of text) {
    whole += escapeText(char.toWellFormed());
    if (whole.length > maxLength) return `${shorter}…`;
    if (whole.length < maxLength) shorter = whole;
  }
  return whole;
}

function listNames({ to }: Notice): string {
  const names = to.slice(0, NAMES).map(({ name }) => clip(name, NAME_LENGTH));
  return to.length > NAMES ? `${names.join(', ')} and ${to.length - NAMES} more` : names.join(', ');
}
