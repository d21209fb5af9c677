import { describe, expect, test } from 'vitest';
import type { AdminAction } from '../../src/policy/policy.ts';
import { STARTER_POLICY } from '../../src/policy/starter.ts';
import {
  allUnknown,
  findingsOf,
  incident,
  load,
  NOW,
  noFacts,
  noShift,
  question,
  shift,
} from './questions.ts';

const policy = load(STARTER_POLICY);
const onCall = { shift: shift(), incident: incident() };
const engineer = 'example-engineer';
const effectOf = (over: Parameters<typeof question>[0]) => policy.decideAccess(question(over)).effect;
const target = (resource: string, role: string) => ({ resource, role });

test('the starter policies load without findings', () => {
  expect(findingsOf(STARTER_POLICY)).toEqual([]);
});

describe('somebody on call with an open incident', () => {
  test.each([
    ['is granted the narrowest role', {}, 'grant'],
    ['is granted it at level 2', { facts: { ...onCall, shift: shift({ level: 2 }) } }, 'grant'],
    ['asks at level 3', { facts: { ...onCall, shift: shift({ level: 3 }) } }, 'ask'],
    ['asks for a wider role', { target: target('db-replica', 'write') }, 'ask'],
    ['asks for what is highly sensitive', { target: target('db-vault', 'read') }, 'ask'],
    ['is granted a login on a host', { target: target('db-host', 'operator') }, 'grant'],
    [
      'asks when the incident is their own',
      { facts: { ...onCall, incident: incident({ byBeneficiary: true }) } },
      'ask',
    ],
    [
      'is denied when the incident is resolved',
      { facts: { ...onCall, incident: incident({ open: false }) } },
      'deny',
    ],
    [
      'is denied when it is about something else',
      { facts: { ...onCall, incident: incident({ matchesResource: false }) } },
      'deny',
    ],
    ['is denied longer than the cap', { durationSeconds: 14_401 }, 'deny'],
    [
      'is denied on a shift of another service',
      { facts: { ...onCall, shift: shift({ coversResource: false }) } },
      'deny',
    ],
  ] as const)('%s', (_, over, effect) => {
    expect(effectOf({ facts: onCall, ...over })).toBe(effect);
  });

  test('asks the leads, and hears why', () => {
    const decision = policy.decideAccess(question({ facts: onCall, target: target('db-replica', 'write') }));
    expect(decision).toMatchObject({
      effect: 'ask',
      chains: ['leads'],
      rules: [{ id: 'oncall-asks', chain: 'leads' }],
    });
    expect(decision.rules[0]?.because).toBeTruthy();
  });
});

describe('without an incident', () => {
  test.each([
    ['on call: production is denied', { facts: { shift: shift() } }, 'deny'],
    [
      'on call: what is low and not production is granted',
      { facts: { shift: shift() }, target: target('db-dev', 'write') },
      'grant',
    ],
    ['not on call: it is denied', { target: target('db-dev', 'read') }, 'deny'],
  ] as const)('%s', (_, over, effect) => expect(effectOf(over)).toBe(effect));
});

test('the team of the service asks while an incident is open, others are denied', () => {
  const facts = { incident: incident() };
  expect(effectOf({ user: engineer, facts })).toBe('ask');
  expect(effectOf({ user: 'ana', facts })).toBe('deny');
  expect(effectOf({ user: engineer })).toBe('deny');
});

describe('nothing is allowed on facts that are not known', () => {
  const targets = ['db-replica:read', 'db-replica:write', 'db-host:operator', 'db-vault:read', 'db-dev:read'];
  test.each(targets)('%s', (name) => {
    const [resource = '', role = ''] = name.split(':');
    for (const user of ['ana', engineer, 'example-lead']) {
      const asked = question({ user, facts: allUnknown, target: target(resource, role) });
      expect(policy.decideAccess(asked).effect).toBe('deny');
      expect(policy.isAllowed('renew', asked).allowed).toBe(false);
      expect(policy.isAllowed('extend', asked).allowed).toBe(false);
    }
  });
});

describe('renewing and extending', () => {
  const allowed = (action: 'renew' | 'extend', facts: Parameters<typeof question>[0]) =>
    policy.isAllowed(action, question(facts)).allowed;

  test('a credential is renewed while the incident is open or the shift holds', () => {
    expect(allowed('renew', { facts: { incident: incident() } })).toBe(true);
    expect(allowed('renew', { facts: { shift: shift() } })).toBe(true);
    expect(allowed('renew', { facts: { incident: incident({ open: false }) } })).toBe(false);
    expect(allowed('renew', { facts: { incident: incident({ byBeneficiary: true }) } })).toBe(true);
  });

  test('a window is extended on call, while the incident is open and somebody else declared it', () => {
    expect(allowed('extend', { facts: onCall })).toBe(true);
    expect(allowed('extend', { facts: { incident: incident() } })).toBe(false);
    expect(allowed('extend', { facts: { shift: shift() } })).toBe(false);
    const own = question({ facts: { ...onCall, incident: incident({ byBeneficiary: true }) } });
    expect(policy.isAllowed('extend', own)).toMatchObject({
      allowed: false,
      rules: [{ id: 'oncall.self-declared' }],
    });
  });
});

test('the glass is broken by sres without any outside fact, and by people on call, for the narrowest role', () => {
  const breaks = (over: Parameters<typeof question>[0]) =>
    policy.isAllowed('break-glass', question(over)).allowed;
  expect(breaks({ user: engineer, facts: allUnknown })).toBe(true);
  expect(breaks({ user: 'example-lead', facts: allUnknown })).toBe(false);
  expect(breaks({ user: 'example-lead', facts: { shift: shift() } })).toBe(true);
  expect(breaks({ user: engineer, target: target('db-replica', 'write') })).toBe(false);
});

describe('administration', () => {
  const permitted = (
    action: AdminAction,
    user: string,
    facts = noFacts,
    about?: { resource?: string; role?: string; user?: string },
  ) => policy.isPermitted({ action, user, about, facts, nowMs: NOW }).allowed;

  test('everybody may approve for others, nobody for themself, for nobody or for what is gone', () => {
    const about = { resource: 'db-replica', role: 'read' };
    expect(permitted('approve', engineer, noFacts, { ...about, user: 'ana' })).toBe(true);
    expect(permitted('approve', 'ana', noFacts, { ...about, user: 'ana' })).toBe(false);
    expect(permitted('approve', 'ana', noFacts, about)).toBe(false);
    expect(permitted('approve', engineer, noFacts, { resource: 'gone', role: 'read', user: 'ana' })).toBe(
      false,
    );
    expect(
      permitted('approve', engineer, noFacts, { resource: 'db-replica', role: 'gone', user: 'ana' }),
    ).toBe(false);
  });

  test.each([
    ['declare-incident', ['ana', engineer, 'example-lead']],
    ['resolve-incident', ['ana', engineer, 'example-lead']],
    ['invite', ['ana']],
    ['manage-device', ['ana']],
    ['revoke', ['ana', 'example-lead']],
    ['read-audit', ['ana', 'example-lead']],
    ['read-grants', ['ana', 'example-lead']],
    ['lock', []],
    ['reload', []],
  ] as const)('%s is for %j', (action, users) => {
    for (const user of ['ana', engineer, 'example-lead', 'nobody']) {
      expect(permitted(action, user), user).toBe((users as readonly string[]).includes(user));
    }
  });

  test('a lead revokes while on call, about whatever', () => {
    const catalogue = load(
      STARTER_POLICY.replace('"admins-revoke"', '"x"').replaceAll(
        'Group::"oncall-admins"',
        'Group::"security"',
      ),
    );
    const revoke = (facts: typeof noFacts, about = {}) =>
      catalogue.isPermitted({ action: 'revoke', user: 'ana', about, facts, nowMs: NOW }).allowed;
    expect(revoke(noFacts)).toBe(false);
    expect(revoke({ ...noFacts, shift: noShift })).toBe(false);
    for (const about of [
      {},
      { resource: 'db-replica' },
      { resource: 'db-replica', role: 'read' },
      { resource: 'gone' },
    ]) {
      expect(revoke({ ...noFacts, shift: shift() }, about)).toBe(true);
    }
  });
});
