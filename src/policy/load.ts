import { createHash } from 'node:crypto';
import { nearest } from '../catalogue/nearest.ts';
import type { Catalogue, Finding } from '../catalogue/types.ts';
import { escapeForTerminal, isName } from '../protocol/names.ts';
import { type PolicyJson, type Problem, parsePolicy, validatePolicies } from './cedar.ts';
import { findDanglingNames } from './dangling.ts';
import { createPolicy, type LoadedRule } from './evaluate.ts';
import { lintFacts, readsFact } from './lint.ts';
import type { LoadPolicy, PolicySource } from './policy.ts';
import { offsetOfByte, positionIn, type Statement, splitStatements } from './statements.ts';

const MAX_BYTES = 1_000_000;
const ANNOTATIONS = ['id', 'because', 'chain'];
/** Rules of ours, in code, whose names must not be taken. */
const RESERVED_PREFIX = 'oncall.';

interface Rule {
  statement: Statement;
  json: PolicyJson;
}

/**
 * Parses, validates and lints Cedar files against one catalogue. The policy is undefined where any finding is an error.
 * Its digest is that of the files' bytes one after another in the order of their names. Never throws for bad text.
 */
export const loadPolicy: LoadPolicy = (sources, catalogue) => {
  const findings: Finding[] = [];
  const files = sources.toSorted((a, b) => (a.file < b.file ? -1 : 1));
  const rules = files.flatMap((source) => readFile(source, findings));
  checkAnnotations(rules, catalogue, findings);
  checkTypes(rules, findings);
  for (const { statement, json } of rules) {
    for (const { mark, message, hint } of lintFacts(json))
      report(findings, statement, 'error', message, hint, mark);
    for (const { severity, mark, message, hint } of findDanglingNames(json, catalogue)) {
      report(findings, statement, severity, message, hint, mark);
    }
  }
  if (rules.length === 0 && findings.length === 0) {
    const message = 'there is no rule: everything is denied';
    findings.push({
      severity: 'warning',
      file: 'policies',
      line: undefined,
      column: undefined,
      message,
      hint: undefined,
    });
  }
  if (findings.some(({ severity }) => severity === 'error')) return { policy: undefined, findings };
  const hash = createHash('sha256');
  for (const { text } of files) hash.update(text, 'utf8');
  const loaded = new Map(
    rules.map((rule): [string, LoadedRule] => [rule.json.annotations?.id ?? '', toLoaded(rule)]),
  );
  return { policy: createPolicy(loaded, catalogue, hash.digest('hex')), findings };
};

function toLoaded({ statement, json }: Rule): LoadedRule {
  return {
    text: statement.text,
    effect: json.effect,
    because: json.annotations?.because,
    chain: json.annotations?.chain,
    readsShift: readsFact(json, 'shift'),
    readsIncident: readsFact(json, 'incident'),
  };
}

function readFile(source: PolicySource, findings: Finding[]): Rule[] {
  if (Buffer.byteLength(source.text) > MAX_BYTES) {
    const message = 'file is larger than 1 MB';
    findings.push({ severity: 'error', file: source.file, line: 1, column: 1, message, hint: undefined });
    return [];
  }
  return splitStatements(source.file, source.text).flatMap((statement) => {
    const parsed = parsePolicy(statement.text);
    if ('json' in parsed) return [{ statement, json: parsed.json }];
    for (const problem of parsed.problems) reportProblem(findings, statement, problem);
    return [];
  });
}

function checkAnnotations(rules: readonly Rule[], catalogue: Catalogue, findings: Finding[]): void {
  const ids = new Map<string, Statement>();
  for (const { statement, json } of rules) {
    const { id, because, chain, ...others } = json.annotations ?? {};
    const fail = (message: string, hint: string | undefined, mark?: string) =>
      report(findings, statement, 'error', message, hint, mark);
    if (id === undefined) fail('rule has no @id', 'add @id("a-name") before it');
    else if (!isName(id) || id.startsWith(RESERVED_PREFIX))
      fail('rule has a bad @id', 'use letters, digits, . and -', '@id');
    else if (ids.has(id)) fail(`the @id "${id}" is taken`, `see ${where(ids.get(id))}`, '@id');
    else ids.set(id, statement);
    if (!because) {
      report(findings, statement, 'warning', 'rule has no @because', 'add @because("words for people")');
    }
    for (const name of Object.keys(others)) {
      const guess = nearest(name, ANNOTATIONS);
      fail(`unknown annotation @${name}`, guess && `did you mean @${guess}?`, `@${name}`);
    }
    const asks = json.effect === 'permit' && covers(json, 'ask');
    if (asks && chain === undefined)
      fail('a rule that permits "ask" needs a @chain', `add @chain("${firstOf(catalogue)}")`);
    if (!asks && chain !== undefined) fail('@chain is only for rules that permit "ask"', undefined, '@chain');
    if (chain !== undefined && !catalogue.chains.has(chain)) {
      const guess = nearest(chain, catalogue.chains.keys());
      fail(`there is no approval chain "${chain}"`, guess && `did you mean ${guess}?`, '@chain');
    }
  }
}

/** The action scope lets this action through. */
function covers({ action }: PolicyJson, name: string): boolean {
  if (action.op === 'All') return true;
  const named = 'entities' in action ? action.entities : 'entity' in action ? [action.entity] : [];
  return named.some((entity) => ('__entity' in entity ? entity.__entity : entity).id === name);
}

function checkTypes(rules: readonly Rule[], findings: Finding[]): void {
  const byKey = new Map(rules.map((rule, index) => [`rule${index}`, rule.statement]));
  const texts = Object.fromEntries([...byKey].map(([key, statement]) => [key, statement.text]));
  for (const { id, problem } of validatePolicies(texts)) {
    const statement = byKey.get(id ?? '') ?? rules[0]?.statement;
    if (statement !== undefined) reportProblem(findings, statement, problem);
  }
}

function firstOf(catalogue: Catalogue): string {
  return catalogue.chains.keys().next().value ?? 'NAME';
}

function where(statement: Statement | undefined): string {
  return statement === undefined ? '' : `${statement.file}:${positionIn(statement, 0).line}`;
}

function reportProblem(findings: Finding[], statement: Statement, problem: Problem): void {
  const { severity, message, hint, startByte } = problem;
  push(
    findings,
    statement,
    severity,
    message,
    hint,
    startByte === undefined ? 0 : offsetOfByte(statement, startByte),
  );
}

function report(
  findings: Finding[],
  statement: Statement,
  severity: Finding['severity'],
  message: string,
  hint: string | undefined,
  mark?: string,
): void {
  const offset = mark === undefined ? 0 : statement.text.indexOf(mark);
  push(findings, statement, severity, message, hint, Math.max(0, offset));
}

function push(
  findings: Finding[],
  statement: Statement,
  severity: Finding['severity'],
  message: string,
  hint: string | undefined,
  offset: number,
): void {
  const { line, column } = positionIn(statement, offset);
  const safe = hint === undefined ? undefined : escapeForTerminal(hint);
  findings.push({
    severity,
    file: statement.file,
    line,
    column,
    message: escapeForTerminal(message),
    hint: safe,
  });
}
