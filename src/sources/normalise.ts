/**
 * What outside systems say about incidents, in one form and within bounds, whether polled or delivered. Ids are refused
 * rather than changed; words for people are cleaned and cut; what only helps (an alias, a label, the address) is dropped
 * where it is not of its form.
 */
import { AppError } from '../protocol/errors.ts';
import { isName } from '../protocol/names.ts';
import type { OutsideIncident } from './incident.ts';

const MAX_TITLE_LENGTH = 300;
const MAX_WORD_LENGTH = 128;
const MAX_URL_LENGTH = 512;
const MAX_ALIASES = 8;
const MAX_ASSIGNEES = 32;
const MAX_LABELS = 64;
const MAX_LABEL_LENGTH = 256;

/** Prometheus' names, and those with dots and dashes; what starts with two underscores is its own (and `__proto__`). */
const LABEL = /^(?!__|constructor$|prototype$)[A-Za-z_][A-Za-z0-9_.-]{0,127}$/;
/** Control and format characters (bidirectional ones among them), line and paragraph separators, halves of pairs. */
const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]+/gu;
/** A project's key and a number, as people type it: `inc-12`. */
const KEY = /^[A-Za-z][A-Za-z0-9]*-\d+$/;

/** An incident as a vendor's parser understood it: members of the right type, nothing bounded yet. */
export interface SaidIncident extends Omit<OutsideIncident, 'url' | 'aliases' | 'outsideDeclarer' | 'title'> {
  title: string | undefined;
  /** Numbers, keys, addresses: whatever people could type. */
  aliases: readonly (string | number | undefined)[];
  outsideDeclarer: string | undefined;
  url: string | undefined;
}

/** Throws AppError `invalid_request` where the id is not one that people could type, or a time is none. */
export function normaliseIncident(said: SaidIncident): OutsideIncident {
  if (!isName(said.externalId)) throw new AppError('invalid_request', "the incident's id is not a name");
  for (const ms of [said.occurredAtMs, said.startedAtMs])
    if (!Number.isSafeInteger(ms) || ms < 0)
      throw new AppError('invalid_request', 'a time of the incident is not one');
  const url = addressOf(said.url ?? '') ?? '';
  const aliases = [...said.aliases, url]
    .map((alias) => aliasOf(String(alias ?? '')))
    .filter((alias) => alias !== undefined)
    .filter((alias) => alias !== said.externalId);
  return {
    externalId: said.externalId,
    aliases: [...new Set(aliases)].slice(0, MAX_ALIASES),
    occurredAtMs: said.occurredAtMs,
    status: said.status,
    priority: cleanText(said.priority, MAX_WORD_LENGTH),
    outsideService: cleanText(said.outsideService, MAX_WORD_LENGTH),
    title: cleanText(said.title ?? '', MAX_TITLE_LENGTH),
    startedAtMs: said.startedAtMs,
    outsideDeclarer: cleanText(said.outsideDeclarer ?? '', MAX_WORD_LENGTH),
    outsideAssignees: said.outsideAssignees
      .slice(0, MAX_ASSIGNEES)
      .map((id) => cleanText(id, MAX_WORD_LENGTH))
      .filter((id) => id !== ''),
    url,
    labels: cleanLabels(said.labels),
  };
}

/**
 * The one form of what an incident is called, for what systems say and for what people type alike: `#4711` is `4711`,
 * `inc-12` is `INC-12`, an address is without its query. Undefined for what cannot be the name of an incident.
 */
export function aliasOf(text: string): string | undefined {
  const trimmed = text.trim();
  if (/^https?:/i.test(trimmed))
    return addressOf(trimmed)
      ?.replace(/[?#].*$/, '')
      .replace(/\/+$/, '');
  const name = trimmed.replace(/^#/, '');
  if (!isName(name)) return undefined;
  return KEY.test(name) ? name.toUpperCase() : name;
}

/** One line: what doesn't print becomes a space, runs of space one; cut where it is too long. */
export function cleanText(text: string, maxLength: number): string {
  const line = text
    .slice(0, maxLength * 4)
    .replace(UNPRINTABLE, ' ')
    .replace(/\s+/gu, ' ')
    .trim();
  if (line.length <= maxLength) return line;
  // A pair that the cut halves is dropped.
  return `${line.slice(0, maxLength - 1).replace(/[\ud800-\udbff]$/, '')}…`;
}

/** An absolute web address without credentials in it. */
function addressOf(text: string): string | undefined {
  if (text.length > MAX_URL_LENGTH || !URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isWeb = url.protocol === 'https:' || url.protocol === 'http:';
  return isWeb && url.username === '' && url.password === '' && url.href.length <= MAX_URL_LENGTH
    ? url.href
    : undefined;
}

/** A label that is too long is dropped, not cut: rules compare them. */
function cleanLabels(labels: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(labels)
      .filter(([name, value]) => LABEL.test(name) && value.length <= MAX_LABEL_LENGTH)
      .slice(0, MAX_LABELS)
      .map(([name, value]) => [name, cleanText(value, MAX_LABEL_LENGTH)]),
  );
}
