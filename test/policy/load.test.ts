import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { loadPolicy } from '../../src/policy/load.ts';
import { findingsOf, load, question, testCatalogue } from './questions.ts';

const RULE = '@id("r") @because("b") permit (principal, action == Action::"grant", resource)';
const at = (text: string, mark: string) => {
  const before = text.slice(0, text.indexOf(mark));
  return { line: before.split('\n').length, column: before.length - before.lastIndexOf('\n') };
};

describe('an error is found where it stands, with a hint', () => {
  test.each([
    ['no @id', '«permit (principal, action == Action::"grant", resource);', '@id'],
    [
      'an @id with a space',
      '«@id("a b") @because("b") permit (principal, action == Action::"renew", resource);',
      'letters',
    ],
    [
      'an @id of ours',
      '«@id("oncall.x") @because("b") permit (principal, action == Action::"renew", resource);',
      'letters',
    ],
    [
      'an @id that is taken',
      `${RULE};\n\n «@id("r") @because("c") forbid (principal, action, resource);`,
      'test.cedar:1',
    ],
    ['a misspelt annotation', `@id("x") «@becuase("b") ${RULE.slice(23)};`, '@because'],
    [
      'an ask without a chain',
      '«@id("x") @because("b") permit (principal, action == Action::"ask", resource);',
      '@chain("dbas")',
    ],
    [
      'any action without a chain',
      '«@id("x") @because("b") permit (principal, action, resource);',
      '@chain("dbas")',
    ],
    [
      'a chain that does not exist',
      '@id("x") @because("b") «@chain("laeds") permit (principal, action == Action::"ask", resource);',
      'leads',
    ],
    ['a person who does not exist', `${RULE.replace('principal,', 'principal == «User::"anna",')};`, 'ana'],
    ['a group that does not exist', `${RULE.replace('principal,', 'principal in «Group::"sree",')};`, 'sre'],
    ['a group in a condition', `${RULE}\nwhen { principal in «Group::"sree" };`, 'sre'],
    [
      'a resource that does not exist',
      `${RULE.replace('resource)', 'resource in «Resource::"db-relpica")')};`,
      'db-replica',
    ],
    [
      'a role that does not exist',
      `${RULE.replace('resource)', 'resource == «Role::"db-replica:raed")')};`,
      'db-replica:read',
    ],
    ['a role name that nobody has', `${RULE} when { resource.name == «"wriet" };`, 'write'],
    ['a role name in a set', `${RULE} when { ["read", «"wriet"].contains(resource.name) };`, 'write'],
    ['a service that does not exist', `${RULE} when { «"ordres" == resource.service };`, 'orders'],
    [
      'a schedule that does not exist',
      `${RULE} when { context.shift.known && context.shift.value.schedules.contains(«"orders-prmary") };`,
      'orders-primary',
    ],
    [
      'a level that nobody can hold on a schedule',
      `${RULE} when { context.shift.known && context.shift.value.positions.containsAny(["orders-primary level 1", «"orders-primary level 3"]) };`,
      'orders-primary level',
    ],
    [
      'a source of incidents that does not exist',
      `${RULE} when { context.incident.known && context.incident.value.source == «"manul" };`,
      'manual',
    ],
    ['a group that nobody can be in', `${RULE} when { principal.groups.contains(«"sree") };`, 'sre'],
    ['an action that does not exist', `${RULE.replace('Action::"grant"', '«Action::"grnt"')};`, 'grant'],
    [
      'an attribute that does not exist',
      `${RULE} when { «resource.enviroment == "production" };`,
      'environment',
    ],
    [
      'an attribute behind what takes two bytes',
      `// ü\n${RULE} when { "üß" like "*" && «resource.enviroment == "x" };`,
      'environment',
    ],
    [
      'an attribute of a fact',
      `${RULE} when { context.shift.known && «context.shift.value.lvel == 1 };`,
      'level',
    ],
    ['what does not parse', `${RULE} when { 1 + «};`, 'expected'],
    ['what follows the last rule', `${RULE};\nfoo«`, 'expected'],
  ])('%s', (_, marked, hint) => {
    const text = marked.replace('«', '');
    expect(loadPolicy([{ file: 'test.cedar', text }], testCatalogue()).policy).toBeUndefined();
    expect(findingsOf(text)).toContainEqual({
      severity: 'error',
      file: 'test.cedar',
      ...at(marked, '«'),
      message: expect.any(String),
      hint: expect.stringContaining(hint),
    });
  });
});

describe('refuses', () => {
  test.each([
    [
      'a template',
      '@id("x") @because("b") permit (principal == ?principal, action == Action::"grant", resource);',
    ],
    ['a chain on what is no ask', `@chain("leads") ${RULE};`],
    ['a comparison of things that never match', `${RULE} when { resource.rank == "0" };`],
    [
      'a resource attribute on administration about nothing',
      '@id("x") @because("b") permit (principal, action == Action::"revoke", resource) when { resource.rank == 0 };',
    ],
    [
      'a broken rule between right ones',
      `${RULE};\npermit(;\n@id("y") @because("b") forbid (principal, action, resource);`,
    ],
    ['a string that never ends', `${RULE} when { "x };`],
    ['2 MB', `${RULE};${' '.repeat(2_000_000)}`],
    ['a rule of brackets', `${RULE} when { ${'('.repeat(20_000)} };`],
  ])('%s', (_, text) => {
    const { policy, findings } = loadPolicy([{ file: 'test.cedar', text }], testCatalogue());
    expect(policy).toBeUndefined();
    expect(findings.some(({ severity }) => severity === 'error')).toBe(true);
  });

  test('terminal escapes in its own words', () => {
    const findings = findingsOf(`${RULE} when { resource.name == "\u001b[31mx" };`);
    expect(findings.length).toBeGreaterThan(0);
    for (const { message, hint } of findings) expect(`${message}${hint}`).not.toContain('\u001b');
  });
});

describe('warns of', () => {
  const severities = (text: string) => findingsOf(text).map(({ severity }) => severity);

  test('a rule without words for people', () => {
    expect(severities('@id("x") permit (principal, action == Action::"grant", resource);')).toEqual([
      'warning',
    ]);
  });

  test('a rule that can never apply', () => {
    expect(severities(`${RULE} when { resource is Installation };`)).toEqual(['warning']);
  });

  test('an environment that is empty', () => {
    expect(severities(`${RULE} when { resource.environment == "prodction" };`)).toEqual(['warning']);
  });

  test('no rule at all, and everything is denied', () => {
    for (const sources of [[], [{ file: 'a.cedar', text: '// nothing\n' }]]) {
      const { policy, findings } = loadPolicy(sources, testCatalogue());
      expect(findings.map(({ severity }) => severity)).toEqual(['warning']);
      expect(policy?.decideAccess(question()).effect).toBe('deny');
    }
  });
});

test('a rule in a comment is none, and one after a carriage return is one', () => {
  expect(load(`// ${RULE};`).decideAccess(question()).effect).toBe('deny');
  expect(load(`// x\r${RULE};`).decideAccess(question()).effect).toBe('grant');
  expect(load(`${RULE} when { "//" != ";" };`).decideAccess(question()).effect).toBe('grant');
});

test('the digest is that of the files one after another, in the order of their names', () => {
  const a = { file: 'a.cedar', text: `${RULE};\n` };
  const b = { file: 'b.cedar', text: '@id("s") @because("b") forbid (principal, action, resource);\n' };
  const digest = createHash('sha256')
    .update(a.text + b.text)
    .digest('hex');
  expect(loadPolicy([b, a], testCatalogue()).policy?.sha256).toBe(digest);
});
