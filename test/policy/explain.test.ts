import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { combinedChanges, singleChanges } from '../../src/policy/explain.ts';
import { STARTER_POLICY } from '../../src/policy/starter.ts';
import { incident, load, question, shift, testCatalogue } from './questions.ts';

const catalogue = testCatalogue();
const policy = load(STARTER_POLICY, catalogue);
const onCall = { shift: shift(), incident: incident() };
const changes = (over: Parameters<typeof question>[0], of = policy) =>
  of.explain(question(over)).map(({ change, effect }) => `${change} → ${effect}`);

describe('what would change the answer', () => {
  test('nothing, where it is granted', () => expect(changes({ facts: onCall })).toEqual([]));

  test('being on call, in words that name the schedule', () => {
    expect(changes({ facts: { incident: incident() } })).toEqual(['shift.onCall → grant']);
    const [{ words } = { words: '' }] = policy.explain(question({ facts: { incident: incident() } }));
    expect(words).toContain('orders-primary');
  });

  test('an open incident', () => {
    expect(changes({ facts: { shift: shift() } })).toEqual(['incident.open → grant']);
    expect(changes({ facts: { ...onCall, incident: incident({ open: false }) } })).toEqual([
      'incident.open → grant',
    ]);
  });

  test('somebody else declaring it', () => {
    expect(changes({ facts: { ...onCall, incident: incident({ byBeneficiary: true }) } })).toEqual([
      'incident.declaredBy → grant',
    ]);
  });

  test('a trusted source, where one that is not told of the incident', () => {
    const wide = load(
      '@id("g") @because("b") permit (principal, action == Action::"grant", resource) when { context.incident.known && context.incident.value.open };',
    );
    const facts = { incident: incident({ trusted: false }) };
    expect(changes({ facts, target: { resource: 'db-replica', role: 'write' } }, wide)).toEqual([
      'incident.source → grant',
      'role → grant',
    ]);
  });

  test('a shift heard of again', () => {
    expect(changes({ facts: { ...onCall, shift: { ...shift(), ageSeconds: 900, demoted: true } } })).toEqual([
      'freshness → grant',
    ]);
  });

  test('both together, where neither alone is enough', () => {
    expect(changes({})).toEqual(['shift.onCall+incident.open → grant']);
  });

  test('a narrower role', () => {
    expect(changes({ facts: onCall, target: { resource: 'db-replica', role: 'write' } })).toEqual([
      'role → grant',
    ]);
  });

  test('a shorter time', () => {
    const short = load(
      '@id("g") @because("b") permit (principal, action == Action::"grant", resource) when { context.request.durationSeconds <= 1800 };',
    );
    expect(short.explain(question())).toEqual([
      { change: 'duration', words: 'if you asked for 30m', effect: 'grant' },
    ]);
  });

  test('a reason, fresher knowledge, a fresh sign-in', () => {
    const when = (condition: string) =>
      load(
        `@id("g") @because("b") permit (principal, action == Action::"grant", resource) when { ${condition} };`,
      );
    expect(changes({ hasReason: false }, when('context.request.hasReason'))).toEqual(['reason → grant']);
    const fresh = when('context.shift.known && context.shift.value.onCall && context.shift.ageSeconds < 300');
    expect(changes({ facts: { shift: { ...shift(), ageSeconds: 900 } } }, fresh)).toEqual([
      'freshness → grant',
    ]);
    const present = when('context.presence.known && context.presence.value.method == "fresh-login"');
    expect(changes({}, present)).toEqual(['presence → grant']);
  });

  test('nothing for what the catalogue does not have', () => {
    expect(changes({ user: 'nobody' })).toEqual([]);
    expect(changes({ target: { resource: 'gone', role: 'read' } })).toEqual([]);
  });
});

test('every change listed is true: deciding again with it gives that effect, which is better', () => {
  const asked = fc
    .record({
      user: fc.constantFrom('ana', 'example-engineer', 'example-lead'),
      target: fc.constantFrom(
        { resource: 'db-replica', role: 'write' },
        { resource: 'db-vault', role: 'read' },
        { resource: 'db-dev', role: 'write' },
      ),
      durationSeconds: fc.integer({ min: 60, max: 20_000 }),
      facts: fc.record({
        shift: fc.boolean().map((known) => ({ ...shift(), known })),
        incident: fc
          .tuple(fc.boolean(), fc.boolean())
          .map(([open, byBeneficiary]) => incident({ open, byBeneficiary })),
      }),
    })
    .map(question);
  const rank = { deny: 0, ask: 1, grant: 2 };
  fc.assert(
    fc.property(asked, (q) => {
      const resource = catalogue.resources.get(q.target.resource)!;
      const today = rank[policy.decideAccess(q).effect];
      const possible = [...singleChanges(q, resource, catalogue), ...combinedChanges(q, resource, catalogue)];
      for (const listed of policy.explain(q)) {
        const change = possible.find(({ words }) => words === listed.words);
        expect(policy.decideAccess(change!.question).effect).toBe(listed.effect);
        expect(rank[listed.effect]).toBeGreaterThan(today);
      }
    }),
  );
});
