import { describe, expect, test } from 'vitest';
import { findingsOf } from './questions.ts';

const rule = (effect: string, conditions: string) =>
  `@id("r") @because("b") ${effect} (principal, action == Action::"grant", resource) ${conditions};`;
const messages = (text: string) => findingsOf(text).map(({ message }) => message);

describe('a forbid that a missing fact would switch off is refused', () => {
  test.each([
    'when { context.risk.value.score > 70 }',
    'when { context.risk.known && context.risk.value.score > 70 }',
    'when { context.risk.ageSeconds > 300 }',
    'when { context.risk.source == "x" }',
    'when { !(context.risk.value.score <= 70) }',
    'when { resource.sensitivity == "high" || context.risk.value.score > 70 }',
    'when { resource.sensitivity == "high" && context.risk.value.score > 70 }',
    'when { context has risk && context.risk.value.score > 70 }',
    'when { context.risk has value && context.risk.value.score > 70 }',
    'when { if context.risk.known then context.risk.value.score > 70 else false }',
    'when { if context.risk.value.score > 70 then true else false }',
    'when { resource.sensitivity == "high" && !context.risk.known || context.risk.value.score > 70 }',
    'when { [70, 80].contains(context.risk.value.score) }',
    'when { {a: context.risk.value.score} == {a: 70} }',
    'unless { context.risk.value.score < 70 }',
    'unless { context.risk.value.score < 70 || resource.sensitivity == "low" }',
    'when { context.risk.known } unless { context.risk.value.score < 70 }',
    'when { context.risk.known == true && context.risk.value.score > 70 }',
    'when { (context.risk.value.score > 70) == true }',
  ])('%s', (conditions) => {
    expect(messages(rule('forbid', conditions))).toContainEqual(expect.stringContaining('unknown risk'));
  });

  test.each([
    ['shift', 'when { context.shift.value.level > 2 }'],
    ['incident', 'when { !context.incident.value.open }'],
    ['device', 'when { context.device.value.keystore == "file" }'],
    ['presence', 'when { context.presence.value.method == "none" }'],
    ['beneficiary', 'when { context.beneficiary.value != principal }'],
  ])('whatever the fact: %s', (fact, conditions) => {
    expect(messages(rule('forbid', conditions))).toContainEqual(expect.stringContaining(`unknown ${fact}`));
  });

  test('each fact by itself', () => {
    const both =
      'when { !context.risk.known || context.risk.value.score > 70 || context.shift.value.level > 2 }';
    expect(messages(rule('forbid', both))).toEqual([expect.stringContaining('unknown shift')]);
  });

  test('with the place and the words that mend it', () => {
    const text = `// one\n${rule('forbid', '\nwhen { context.risk.value.score > 70 }')}`;
    expect(findingsOf(text)).toEqual([
      expect.objectContaining({
        severity: 'error',
        line: 3,
        column: 8,
        hint: expect.stringContaining('!context.risk.known ||'),
      }),
    ]);
  });
});

describe('a forbid that covers it passes', () => {
  test.each([
    'when { !context.risk.known || context.risk.value.score > 70 }',
    'when { context.risk.value.score > 70 || !context.risk.known }',
    'when { resource.sensitivity == "high" && (!context.risk.known || context.risk.value.score > 70) }',
    'when { !context.risk.known || context.risk.ageSeconds > 300 || context.risk.value.score > 70 }',
    'when { !(context.risk.known && context.risk.value.score <= 70) }',
    'unless { context.risk.known && context.risk.value.score <= 70 }',
    'when { resource.sensitivity == "high" } unless { context.risk.known && context.risk.value.score <= 70 }',
    'when { if context.risk.known then context.risk.value.score > 70 else true }',
    'when { context.risk.known == false || context.risk.value.score > 70 }',
    'when { context.risk.known != true || context.risk.value.score > 70 }',
    'when { !context.risk.known }',
    'when { context.risk.known }',
    'when { resource.sensitivity == "high" }',
    '',
  ])('%s', (conditions) => {
    expect(findingsOf(rule('forbid', conditions)).filter(({ severity }) => severity === 'error')).toEqual([]);
  });
});

describe('a permit', () => {
  test.each([
    'when { context.risk.value.score < 30 }',
    'when { !context.shift.value.onCall }',
    'when { context.device.ageSeconds < 300 }',
    'when { context.incident.known || context.incident.value.open }',
    'unless { context.risk.value.score > 70 }',
    'unless { context.risk.known && context.risk.value.score > 70 || context.risk.value.score > 90 }',
  ])('that trusts an unknown fact is refused: %s', (conditions) => {
    expect(messages(rule('permit', conditions))).toContainEqual(
      expect.stringContaining('trusts the value of an unknown'),
    );
  });

  test.each([
    'when { context.risk.known && context.risk.value.score < 30 }',
    'when { (context.shift.known && context.shift.value.onCall) || principal in Group::"sre" }',
    'when { if context.shift.known then context.shift.value.onCall else false }',
  ])('that looks first passes: %s', (conditions) => {
    expect(findingsOf(rule('permit', conditions))).toEqual([]);
  });
});

test('a rule too tangled to check is refused, soon', () => {
  const tangle = Array.from({ length: 40 }, (_, i) => `context.request.durationSeconds == ${i}`).join(' || ');
  expect(messages(rule('forbid', `when { (${tangle}) && context.risk.value.score > 70 }`))).toEqual([
    expect.stringContaining('too many conditions'),
  ]);
});
