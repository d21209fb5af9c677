/**
 * What strict validation cannot see: a rule whose outcome hangs on the value of a fact that may be unknown.
 *
 * The condition is evaluated in three values. With a fact unknown, `context.f.known` is false, and everything that reads
 * its value, age or source is open; each other atom is tried both ways. A forbid that could apply were the fact known
 * must apply for certain when it is not. A permit must not hang on what is open.
 */
import type { Expr, PolicyJson } from './cedar.ts';
import { FACTS, type FactName } from './schema.ts';

/** Beyond this a rule is too tangled to check, and to read. */
const MAX_ATOMS = 12;

export interface LintProblem {
  message: string;
  hint: string;
  /** Text to look for in the policy, to say where. */
  mark: string;
}

/** Whether a rule looks at a fact in any way; a use of the whole context looks at all of them. */
export function readsFact(policy: PolicyJson, fact: FactName): boolean {
  return mentions(conjunction(policy), fact);
}

/** True, false, or open. */
type Truth = boolean | undefined;

interface Case {
  fact: FactName;
  known: boolean;
  atoms: ReadonlyMap<string, boolean>;
}

export function lintFacts(policy: PolicyJson): LintProblem[] {
  const condition = conjunction(policy);
  return FACTS.filter((fact) => readsValue(condition, fact)).flatMap((fact) => {
    const problem = lintFact(policy.effect, condition, fact);
    return problem === undefined ? [] : [problem];
  });
}

function lintFact(effect: PolicyJson['effect'], condition: Expr, fact: FactName): LintProblem | undefined {
  const mark = `context.${fact}`;
  const atoms = [...collectAtoms(condition, fact)];
  if (atoms.length > MAX_ATOMS) {
    return { message: `too many conditions to check for an unknown ${fact}`, hint: 'split the rule', mark };
  }
  for (let bits = 0; bits < 2 ** atoms.length; bits++) {
    const values = new Map(atoms.map((atom, index) => [atom, ((bits >> index) & 1) === 1]));
    const unknown = evaluate(condition, { fact, known: false, atoms: values });
    if (effect === 'permit' && unknown === undefined) {
      const hint = `write when { context.${fact}.known && … }`;
      return { message: `trusts the value of an unknown ${fact}`, hint, mark };
    }
    if (
      effect === 'forbid' &&
      unknown !== true &&
      evaluate(condition, { fact, known: true, atoms: values }) !== false
    ) {
      const hint = `write when { !context.${fact}.known || … }`;
      return { message: `does not cover an unknown ${fact}`, hint, mark };
    }
  }
  return undefined;
}

function conjunction(policy: PolicyJson): Expr {
  const clauses = policy.conditions.map(
    ({ kind, body }): Expr => (kind === 'when' ? body : { '!': { arg: body } }),
  );
  return clauses.reduce((left, right): Expr => ({ '&&': { left, right } }), { Value: true });
}

function evaluate(expr: Expr, at: Case): Truth {
  const [operator, operand] = open(expr);
  const binary = operand as { left: Expr; right: Expr };
  switch (operator) {
    case 'Value':
      return typeof operand === 'boolean' ? operand : undefined;
    case '!':
      return not(evaluate((operand as { arg: Expr }).arg, at));
    case '&&':
      return both(evaluate(binary.left, at), () => evaluate(binary.right, at));
    case '||':
      return not(both(not(evaluate(binary.left, at)), () => not(evaluate(binary.right, at))));
    case 'if-then-else':
      return choose(operand as { if: Expr; then: Expr; else: Expr }, at);
    case '==':
    case '!=':
      if (!isLogical(binary.left) && !isLogical(binary.right)) break;
      return equal(evaluate(binary.left, at), evaluate(binary.right, at), operator === '==');
  }
  if (factMember(expr, at.fact) === 'known') return at.known;
  if (mentions(expr, at.fact)) return isPresenceTest(expr) ? true : undefined;
  return at.atoms.get(JSON.stringify(expr));
}

function choose(branch: { if: Expr; then: Expr; else: Expr }, at: Case): Truth {
  const test = evaluate(branch.if, at);
  if (test !== undefined) return evaluate(test ? branch.then : branch.else, at);
  const left = evaluate(branch.then, at);
  return left === evaluate(branch.else, at) ? left : undefined;
}

const not = (truth: Truth): Truth => (truth === undefined ? undefined : !truth);

function both(left: Truth, right: () => Truth): Truth {
  if (left === false) return false;
  const other = right();
  if (other === false) return false;
  return left === true ? other : undefined;
}

function equal(left: Truth, right: Truth, wanted: boolean): Truth {
  return left === undefined || right === undefined ? undefined : (left === right) === wanted;
}

/** The undividable tests that say nothing of the fact. */
function collectAtoms(expr: Expr, fact: FactName, into = new Set<string>()): Set<string> {
  const [operator, operand] = open(expr);
  const parts = logicalParts(operator, operand);
  if (parts !== undefined) {
    for (const part of parts) collectAtoms(part, fact, into);
  } else if (operator !== 'Value' && !mentions(expr, fact)) {
    into.add(JSON.stringify(expr));
  }
  return into;
}

function logicalParts(operator: string, operand: unknown): Expr[] | undefined {
  const { left, right, arg } = operand as { left: Expr; right: Expr; arg: Expr };
  if (operator === '!') return [arg];
  if (operator === '&&' || operator === '||') return [left, right];
  if (operator === 'if-then-else') {
    const branch = operand as { if: Expr; then: Expr; else: Expr };
    return [branch.if, branch.then, branch.else];
  }
  const isEquality = operator === '==' || operator === '!=';
  return isEquality && (isLogical(left) || isLogical(right)) ? [left, right] : undefined;
}

/** Known to be a Boolean by its form: what `==` compares with it is a Boolean as well. */
function isLogical(expr: Expr): boolean {
  const [operator, operand] = open(expr);
  if (operator === 'Value') return typeof operand === 'boolean';
  if (
    ['!', '&&', '||', '==', '!=', '<', '<=', '>', '>=', 'has', 'like', 'is', 'in', 'contains'].includes(
      operator,
    )
  ) {
    return true;
  }
  return FACTS.some((fact) => factMember(expr, fact) === 'known');
}

/** `known`, `value`, … where `expr` is `context.<fact>.<member>` itself. */
function factMember(expr: Expr, fact: FactName): string | undefined {
  const [operator, operand] = open(expr);
  if (operator !== '.') return undefined;
  const { left, attr } = operand as { left: Expr; attr: string };
  return isFact(left, fact) ? attr : undefined;
}

function isFact(expr: Expr, fact: FactName): boolean {
  const [operator, operand] = open(expr);
  if (operator !== '.') return false;
  const { left, attr } = operand as { left: Expr; attr: string };
  return attr === fact && isContext(left);
}

function isContext(expr: Expr): boolean {
  const [operator, operand] = open(expr);
  return operator === 'Var' && operand === 'context';
}

/** `context has f`, `context.f has value`: facts are always there, whole. */
function isPresenceTest(expr: Expr): boolean {
  return open(expr)[0] === 'has';
}

/** Reads the fact in any way; a use of the whole context reads them all. */
function mentions(expr: Expr, fact: FactName): boolean {
  if (isFact(expr, fact)) return true;
  const [operator, operand] = open(expr);
  if (operator === '.' && isContext((operand as { left: Expr }).left)) return false;
  if (isContext(expr)) return true;
  return children(operator, operand).some((child) => mentions(child, fact));
}

function readsValue(expr: Expr, fact: FactName): boolean {
  if (factMember(expr, fact) === 'known' || (isPresenceTest(expr) && mentions(expr, fact))) return false;
  if (isFact(expr, fact)) return true;
  const [operator, operand] = open(expr);
  if (operator === '.' && isContext((operand as { left: Expr }).left)) return false;
  if (isContext(expr)) return true;
  return children(operator, operand).some((child) => readsValue(child, fact));
}

function children(operator: string, operand: unknown): Expr[] {
  if (operator === 'Value' || operator === 'Var' || operator === 'Slot') return [];
  if (Array.isArray(operand)) return operand as Expr[];
  if (typeof operand !== 'object' || operand === null) return [];
  return Object.entries(operand)
    .filter(([key, value]) => key !== 'pattern' && typeof value === 'object' && value !== null)
    .flatMap(([key, value]) => (operator === 'has' && key === 'attr' ? [] : [value as Expr]));
}

/** An expression of Cedar's JSON form is an object with one member: its operator. */
function open(expr: Expr): [string, unknown] {
  return Object.entries(expr)[0] ?? ['', undefined];
}
