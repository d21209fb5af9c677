/**
 * From YAML text to values that know where they stand. Everything a section reads goes through here, so every finding
 * carries line and column, unknown keys are refused everywhere, and nothing is expanded that no section asked for (an
 * alias bomb stays a handful of nodes).
 */
import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument, type Scalar } from 'yaml';
import { parseDuration } from '../protocol/durations.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import { findOutOfBounds } from './bounds.ts';
import { nearest } from './nearest.ts';
import type { Finding, Place } from './types.ts';

/** More than a person fixes in one go. */
const MAX_FINDINGS = 100;
const MAX_TEXT = 4096;
/** Sections, resources, approval chains, and what of a resource is held against the order in which resources are brought in. */
const MARKED = /^(resources|approvals)\.[^.]+$|^resources\.[^.]+\.(phase|session|breakGlass)$|^[a-zA-Z]+$/;

/** A value and the node to blame for it. */
export interface Placed<T> {
  value: T;
  node: Node;
}

/** Names to look one up among: a set of them, or a map by them. */
export type Names = Pick<ReadonlyMap<string, unknown>, 'has' | 'keys' | 'size'>;

export class Reader {
  readonly findings: Finding[] = [];
  /** Where it says what, by path, as far as checks after reading want to know. */
  readonly places = new Map<string, Place>();
  readonly root: Node | undefined;
  readonly #file: string;
  readonly #lines = new LineCounter();
  readonly #resolve: (node: Node) => Node | undefined;

  constructor(text: string, file: string) {
    this.#file = file;
    this.#resolve = (node) => node;
    const outOfBounds = findOutOfBounds(text);
    if (outOfBounds !== undefined) {
      const before = text.slice(0, outOfBounds.offset);
      const line = before.split('\n').length;
      this.#push(
        'error',
        line,
        outOfBounds.offset - before.lastIndexOf('\n'),
        outOfBounds.message,
        undefined,
      );
      return;
    }
    const document = parseDocument(text, {
      version: '1.2',
      schema: 'core',
      merge: false,
      // Pretty errors quote the source, and the source may hold a secret or a terminal escape.
      prettyErrors: false,
      // Checked in `mapping`, where it is linear.
      uniqueKeys: false,
      lineCounter: this.#lines,
    });
    // What follows the first is mostly its echo.
    for (const problem of [...document.errors, ...document.warnings].slice(0, 1)) {
      const hint = problem.code === 'TAB_AS_INDENT' ? 'indent with spaces' : undefined;
      this.#at('error', problem.pos[0], lowerFirst(problem.message), hint);
    }
    if (this.findings.length > 0) return;
    this.#resolve = (node) => (isAlias(node) ? node.resolve(document) : node);
    this.root = document.contents ?? undefined;
  }

  /** No more findings are kept: what only words the next one can be left out. */
  get isFull(): boolean {
    return this.findings.length > MAX_FINDINGS;
  }

  error(node: Node, message: string, hint?: string): undefined {
    this.#at('error', node.range?.[0] ?? 0, message, hint);
  }

  warn(node: Node, message: string, hint?: string): void {
    this.#at('warning', node.range?.[0] ?? 0, message, hint);
  }

  mark(path: string, node: Node): void {
    if (!MARKED.test(path)) return;
    const { line, col } = this.#lines.linePos(node.range?.[0] ?? 0);
    this.places.set(path, { line: Math.max(1, line), column: Math.max(1, col) });
  }

  /** A mapping whose keys are names that people chose, in the order written. */
  entries(node: Node, path: string): { key: Placed<string>; value: Node }[] | undefined {
    const map = this.#resolve(node);
    if (!isMap(map)) return this.error(node, `${path} must be a mapping of keys to values, not ${kind(map)}`);
    const seen = new Set<string>();
    const entries: { key: Placed<string>; value: Node }[] = [];
    for (const pair of map.items) {
      const keyNode = pair.key as Node;
      const resolved = this.#resolve(keyNode);
      if (!isScalar(resolved) || typeof resolved.value !== 'string') {
        this.error(keyNode ?? node, `keys in ${path} must be text`, 'put the key in quotes');
      } else if (seen.has(resolved.value)) {
        this.error(keyNode, `${quote(resolved.value)} is written twice in ${path}`, 'keep one of them');
      } else {
        seen.add(resolved.value);
        entries.push({
          key: { value: resolved.value, node: keyNode },
          value: (pair.value ?? keyNode) as Node,
        });
      }
    }
    return entries;
  }

  list(node: Node, path: string): Node[] | undefined {
    const sequence = this.#resolve(node);
    if (!isSeq(sequence))
      return this.error(node, `${path} must be a list, not ${kind(sequence)}`, 'write [a, b]');
    return sequence.items as Node[];
  }

  /** A list, or one thing in its place. */
  oneOrMore(node: Node): Node[] {
    const resolved = this.#resolve(node);
    return isSeq(resolved) ? (resolved.items as Node[]) : [node];
  }

  /** The keys of a section that is read later, to know what others may refer to. Leaves no finding. */
  keys(node: Node | undefined): ReadonlySet<string> {
    const map = node && this.#resolve(node);
    const keys = isMap(map) ? map.items.map(({ key }) => this.#scalar(key as Node)?.value) : [];
    return new Set(keys.filter((key) => typeof key === 'string'));
  }

  text(node: Node, path: string): string | undefined {
    const value = this.#scalar(node)?.value;
    if (typeof value !== 'string' || value === '') {
      return this.error(node, `${path} must be text, not ${kind(this.#resolve(node))}`, 'put it in quotes');
    }
    if (value.length > MAX_TEXT) return this.error(node, `${path} is longer than ${MAX_TEXT} characters`);
    if (
      /[\u0000-\u001f\u007f-\u009f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff]/.test(value) ||
      !value.isWellFormed()
    ) {
      return this.error(node, `${path} holds control characters`);
    }
    return value;
  }

  integer(node: Node, path: string, min: number, max: number): number | undefined {
    const value = this.#scalar(node)?.value;
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max)
      return value;
    return this.error(node, `${path} must be a whole number from ${min} to ${max}`);
  }

  boolean(node: Node, path: string): boolean | undefined {
    const value = this.#scalar(node)?.value;
    return typeof value === 'boolean' ? value : this.error(node, `${path} must be true or false`);
  }

  /** Seconds. */
  duration(node: Node, path: string): number | undefined {
    const value = this.#scalar(node)?.value;
    const seconds = typeof value === 'string' ? parseDuration(value) : undefined;
    return seconds ?? this.error(node, `${path} must be a duration`, 'write it as 90s, 15m, 2h or 7d');
  }

  /** A name of a thing that exists, else a finding with the nearest one that does. */
  existing(place: Placed<string>, what: string, known: Names): boolean {
    if (known.has(place.value)) return true;
    if (this.isFull) return false;
    const guess = nearest(place.value, known.keys());
    const hint =
      guess !== undefined
        ? `did you mean ${guess}?`
        : known.size === 0
          ? `there is no ${what} yet`
          : undefined;
    this.error(place.node, `there is no ${what} ${quote(place.value)}`, hint);
    return false;
  }

  isMapping(node: Node): boolean {
    return isMap(this.#resolve(node));
  }

  #scalar(node: Node): Scalar | undefined {
    const resolved = this.#resolve(node);
    return isScalar(resolved) ? resolved : undefined;
  }

  #at(severity: Finding['severity'], offset: number, message: string, hint: string | undefined): undefined {
    const { line, col } = this.#lines.linePos(offset);
    this.#push(severity, Math.max(1, line), Math.max(1, col), message, hint);
  }

  #push(
    severity: Finding['severity'],
    line: number,
    column: number,
    message: string,
    hint: string | undefined,
  ): void {
    if (this.isFull) {
      const last = this.findings.at(-1);
      if (last && severity === 'error') last.severity = 'error';
      return;
    }
    this.findings.push(
      this.findings.length === MAX_FINDINGS
        ? {
            severity,
            file: this.#file,
            line,
            column,
            message: 'more findings follow',
            hint: 'fix those above first',
          }
        : { severity, file: this.#file, line, column, message: escapeForTerminal(message), hint },
    );
  }
}

/** What people wrote, in quotes and cut to a readable length. */
export function quote(text: string): string {
  return `"${text.length > 60 ? `${text.slice(0, 60)}…` : text}"`;
}

function lowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}

function kind(node: Node | undefined): string {
  if (isMap(node)) return 'a mapping';
  if (isSeq(node)) return 'a list';
  if (!isScalar(node) || node.value === null) return 'nothing';
  if (node.value === '') return 'an empty text';
  return typeof node.value === 'string' ? 'text' : `a ${typeof node.value}`;
}
