// As much of IAM's policy language as our policies use, and an error for everything else: a policy that this does not understand
// must not look as if it did what it says.
import { AwsFault } from './aws-signature.ts';

export interface Statement {
  Effect: 'Allow' | 'Deny';
  Principal?: { AWS: string };
  Action: string[];
  Resource: string[];
  Condition: [operator: string, key: string, values: string[]][];
}

/** Values of condition keys, in lower case, at the moment of a call. */
export type CallContext = Readonly<Record<string, readonly string[]>>;

export interface Call {
  action: string;
  resource: string;
  context: CallContext;
}

const STATEMENT_KEYS = ['Sid', 'Effect', 'Principal', 'Action', 'Resource', 'Condition'];
const OPERATORS: Record<string, (found: string, wanted: string) => boolean> = {
  StringEquals: (found, wanted) => found === wanted,
  StringLike: (found, wanted) => isLike(found, wanted, false),
  DateGreaterThanEquals: (found, wanted) => instant(found) >= instant(wanted),
  DateLessThanEquals: (found, wanted) => instant(found) <= instant(wanted),
};

/** Throws AwsFault `MalformedPolicyDocument`. `trust`: a role's trust policy, which has principals and no resources. */
export function parsePolicy(text: string, { trust = false } = {}): Statement[] {
  const document = parse(text);
  require(Object.keys(document).every((key) => ['Version', 'Statement'].includes(key)), 'unknown element');
  require(document.Version === '2012-10-17', 'no Version 2012-10-17');
  const statements = Array.isArray(document.Statement) ? document.Statement : [document.Statement];
  require(statements.length > 0, 'no statement');
  return statements.map((statement: Record<string, unknown>) => {
    require(Object.keys(statement).every((key) => STATEMENT_KEYS.includes(key)), 'unknown element');
    const { Effect, Principal, Condition = {} } = statement;
    require(Effect === 'Allow' || Effect === 'Deny', 'Effect');
    require(trust === (Principal !== undefined) &&
      trust === (statement.Resource === undefined), 'principal or resource');
    const Action = texts(statement.Action);
    require(Action.every((action) => /^(\*|[a-z0-9-]+:[A-Za-z0-9*?]+)$/.test(action)), 'Action');
    const conditions = Object.entries(Condition as Record<string, Record<string, unknown>>).flatMap(
      ([operator, keys]) =>
        Object.entries(keys).map(([key, value]): Statement['Condition'][number] => {
          require(OPERATORS[operator.replace('ForAllValues:', '')] !== undefined, `operator ${operator}`);
          return [operator, key.toLowerCase(), texts(value)];
        }),
    );
    return {
      Effect: Effect as 'Allow' | 'Deny',
      ...(Principal === undefined ? {} : { Principal: Principal as { AWS: string } }),
      Action,
      Resource: trust ? ['*'] : texts(statement.Resource),
      Condition: conditions,
    };
  });
}

/** `deny` where a statement denies, `allow` where one allows and none denies, else undefined. */
export function evaluate(statements: readonly Statement[], call: Call): 'allow' | 'deny' | undefined {
  const effects = statements.filter((statement) => applies(statement, call)).map(({ Effect }) => Effect);
  if (effects.includes('Deny')) return 'deny';
  return effects.includes('Allow') ? 'allow' : undefined;
}

function applies({ Action, Resource, Condition }: Statement, { action, resource, context }: Call): boolean {
  return (
    Action.some((pattern) => isLike(action, pattern, true)) &&
    Resource.some((pattern) => isLike(resource, pattern, false)) &&
    Condition.every(([operator, key, values]) => {
      const found = context[key];
      const matches = OPERATORS[operator.replace('ForAllValues:', '')]!;
      const one = (value: string) => values.some((wanted) => matches(value, wanted));
      // ForAllValues holds where there is none; the others need the key.
      if (operator.startsWith('ForAllValues:')) return (found ?? []).every(one);
      return found?.some(one) === true;
    })
  );
}

function isLike(text: string, pattern: string, ignoreCase: boolean): boolean {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, '\\$&')
    .replace(/\*/g, '.*')
    .replace(/\?/g, '.');
  return new RegExp(`^${source}$`, ignoreCase ? 'is' : 's').test(text);
}

function instant(text: string): number {
  require(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/.test(text), `date ${text}`);
  return Date.parse(text);
}

function texts(value: unknown): string[] {
  const list = Array.isArray(value) ? value : [value];
  require(list.length > 0 && list.every((item) => typeof item === 'string'), 'not text');
  return list as string[];
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw malformed('not JSON');
  }
}

function require(condition: boolean, what: string): void {
  if (!condition) throw malformed(what);
}

function malformed(what: string): AwsFault {
  return new AwsFault('MalformedPolicyDocument', 400, `Syntax errors in policy: ${what}`);
}
