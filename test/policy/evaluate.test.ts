import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildContext } from '../../src/policy/entities.ts';
import { STARTER_POLICY } from '../../src/policy/starter.ts';
import { allUnknown, incident, load, NOW, noShift, question, shift, testCatalogue } from './questions.ts';

const RANK = { deny: 0, ask: 1, grant: 2 };
const catalogue = testCatalogue();
const permit = (id: string, action: string, rest = '') =>
  `@id("${id}") @because("b") permit (principal, action == Action::"${action}", resource) ${rest};`;
const ask = (id: string, chain: string) => `@chain("${chain}") ${permit(id, 'ask')}`;
const forbid = (id: string, scope: string, rest = '') =>
  `@id("${id}") @because("b") forbid (principal, ${scope}, resource) ${rest};`;

const questions = fc
  .record({
    user: fc.constantFrom('ana', 'example-engineer', 'example-lead', 'nobody'),
    target: fc.constantFrom(
      ...[...catalogue.resources.values()].flatMap(({ id, roles }) =>
        roles.map((role) => ({ resource: id, role })),
      ),
    ),
    durationSeconds: fc.integer({ min: 1, max: 20_000 }),
    hasReason: fc.boolean(),
    level: fc.integer({ min: 1, max: 3 }),
    onShift: fc.boolean(),
    covers: fc.boolean(),
    open: fc.boolean(),
    own: fc.boolean(),
    incidentKnown: fc.boolean(),
    shiftKnown: fc.boolean(),
  })
  .map(({ level, onShift, covers, open, own, incidentKnown, shiftKnown, ...asked }) =>
    question({
      ...asked,
      facts: {
        shift: { ...(onShift ? shift({ level, coversResource: covers }) : noShift), known: shiftKnown },
        incident: { ...incident({ open, byBeneficiary: own }), known: incidentKnown },
      },
    }),
  );

describe('deciding', () => {
  test('nothing is allowed that no rule permits', () => {
    expect(load(permit('x', 'renew')).decideAccess(question())).toEqual({
      effect: 'deny',
      rules: [],
      chains: [],
      errors: [],
      restsOnShift: false,
    });
  });

  test('a forbid on granting leaves asking, a forbid on both leaves nothing', () => {
    const base = permit('g', 'grant') + ask('a', 'leads');
    expect(load(base).decideAccess(question())).toMatchObject({
      effect: 'grant',
      rules: [{ id: 'g' }],
      chains: [],
    });
    const one = load(base + forbid('f', 'action == Action::"grant"')).decideAccess(question());
    expect(one).toMatchObject({ effect: 'ask', chains: ['leads'] });
    expect(one.rules.map(({ id, effect }) => `${effect} ${id}`)).toEqual(['permit a', 'forbid f']);
    const both = load(base + forbid('f', 'action')).decideAccess(question());
    expect(both).toMatchObject({ effect: 'deny', chains: [] });
    expect(both.rules.map(({ id }) => id)).toEqual(['f']);
  });

  test('every chain of every asking rule that applies must be satisfied', () => {
    const { chains } = load(ask('a', 'leads') + ask('b', 'dbas') + ask('c', 'leads')).decideAccess(
      question(),
    );
    expect([...chains].sort()).toEqual(['dbas', 'leads']);
  });

  test('an incident of one’s own grants nothing, even where a rule says so', () => {
    const facts = { incident: incident({ byBeneficiary: true }) };
    const bare = load(permit('g', 'grant') + permit('e', 'extend') + permit('r', 'renew'));
    expect(bare.decideAccess(question({ facts }))).toMatchObject({
      effect: 'deny',
      rules: [{ id: 'oncall.self-declared' }],
    });
    expect(bare.isAllowed('extend', question({ facts })).allowed).toBe(false);
    expect(bare.isAllowed('renew', question({ facts })).allowed).toBe(true);
    const asking = load(permit('g', 'grant') + ask('a', 'leads')).decideAccess(question({ facts }));
    expect(asking.effect).toBe('ask');
    expect(asking.rules.map(({ id }) => id)).toEqual(['a', 'oncall.self-declared']);
  });

  const onCall = 'context.shift.known && context.shift.value.coversResource';
  const burning = 'context.incident.known && context.incident.value.open';
  const write = { resource: 'db-replica', role: 'write' };
  const idsOf = (rules: readonly { id: string }[]) => rules.map(({ id }) => id);

  test('nor does it override the approvers who stayed silent', () => {
    const policy = load(permit('o', 'auto-override', `when { ${onCall} && ${burning} }`));
    const of = (byBeneficiary: boolean) =>
      policy.isAllowed(
        'auto-override',
        question({ facts: { shift: shift(), incident: incident({ byBeneficiary }) } }),
      );
    expect(of(false).allowed).toBe(true);
    expect(of(true)).toMatchObject({ allowed: false, rules: [{ id: 'oncall.self-declared' }] });
  });

  test('an incident from a source that is not trusted grants the narrowest role alone', () => {
    const rules =
      ['grant', 'extend', 'auto-override', 'renew'].map((a) => permit(a, a, `when { ${burning} }`)).join('') +
      ask('a', 'leads');
    const policy = load(rules);
    const facts = { incident: incident({ source: 'alertmanager', trusted: false }) };
    expect(policy.decideAccess(question({ facts })).effect).toBe('grant');
    const wide = policy.decideAccess(question({ facts, target: write }));
    expect(wide).toMatchObject({ effect: 'ask', chains: ['leads'] });
    expect(idsOf(wide.rules)).toEqual(['a', 'oncall.untrusted-source']);
    for (const action of ['extend', 'auto-override'] as const) {
      expect(policy.isAllowed(action, question({ facts })).allowed).toBe(true);
      expect(policy.isAllowed(action, question({ facts, target: write })).allowed).toBe(false);
    }
    expect(policy.isAllowed('renew', question({ facts, target: write })).allowed).toBe(true);
  });

  test('an untrusted incident takes nothing from who would be let in without it', () => {
    const facts = { shift: shift(), incident: incident({ trusted: false }) };
    const without = load(
      permit('s', 'grant', `when { ${onCall} }`) + permit('i', 'grant', `when { ${burning} }`),
    );
    expect(without.decideAccess(question({ facts, target: write })).effect).toBe('grant');
  });

  test('a shift last heard of too long ago asks, where every rule that decided rests on it', () => {
    const demoted = { ...shift(), ageSeconds: 3600, demoted: true };
    const policy = load(
      permit('g', 'grant', `when { ${onCall} }`) +
        permit('e', 'extend', `when { ${onCall} }`) +
        permit('o', 'auto-override', `when { ${onCall} }`) +
        permit('r', 'renew', `when { ${onCall} }`) +
        `@chain("leads") ${permit('a', 'ask', `when { ${onCall} }`)}`,
    );
    const stale = question({ facts: { shift: demoted } });
    const decision = policy.decideAccess(stale);
    expect(decision).toMatchObject({ effect: 'ask', chains: ['leads'], restsOnShift: true });
    expect(idsOf(decision.rules)).toEqual(['a', 'oncall.stale-shift']);
    for (const action of ['extend', 'auto-override'] as const) {
      expect(policy.isAllowed(action, stale)).toMatchObject({
        allowed: false,
        rules: [{ id: 'oncall.stale-shift' }],
      });
    }
    expect(policy.isAllowed('renew', stale).allowed).toBe(true);
    const also = load(permit('g', 'grant', `when { ${onCall} }`) + permit('h', 'grant'));
    expect(also.decideAccess(stale)).toMatchObject({ effect: 'grant', restsOnShift: false });
  });

  test('says whether what it permits rests on the shift, read from the rules and not from their text', () => {
    const rests = (condition: string) =>
      load(permit('g', 'grant', condition)).decideAccess(question({ facts: { shift: shift() } }));
    expect(rests(`when { ${onCall} }`)).toMatchObject({ effect: 'grant', restsOnShift: true });
    expect(rests('when { "context.shift" == "context.shift" }')).toMatchObject({
      effect: 'grant',
      restsOnShift: false,
    });
    expect(rests('when { context["shift"].known && context["shift"].value.onCall }')).toMatchObject({
      restsOnShift: true,
    });
    const both = load(
      permit('g', 'grant', `when { ${onCall} }`) + permit('h', 'grant', 'when { resource.rank == 0 }'),
    );
    expect(both.decideAccess(question({ facts: { shift: shift() } })).restsOnShift).toBe(false);
  });

  test('who or what the catalogue does not have is denied, whatever the rules say', () => {
    const open = load(permit('g', 'grant') + ask('a', 'leads') + permit('b', 'break-glass'));
    for (const [over, id] of [
      [{ user: 'nobody' }, 'oncall.unknown-person'],
      [{ user: '__proto__' }, 'oncall.unknown-person'],
      [{ target: { resource: 'gone', role: 'read' } }, 'oncall.unknown-target'],
      [{ target: { resource: 'db-replica', role: 'gone' } }, 'oncall.unknown-target'],
    ] as const) {
      expect(open.decideAccess(question(over))).toMatchObject({ effect: 'deny', rules: [{ id }] });
      expect(open.isAllowed('break-glass', question(over)).allowed).toBe(false);
    }
  });

  test('an evaluation error denies what a permit allows and no forbid stops', () => {
    const overflow = 'when { context.request.durationSeconds * 9223372036854775807 > 0 }';
    for (const action of ['grant', 'ask']) {
      const policy = load(
        permit('g', action === 'grant' ? 'grant' : 'renew') +
          ask('a', 'leads') +
          forbid('f', 'action', overflow),
      );
      const decision = policy.decideAccess(question());
      expect(decision.effect).toBe('deny');
      expect(decision.errors).toContainEqual(expect.stringContaining('f: '));
    }
    const answer = load(permit('r', 'renew') + forbid('f', 'action', overflow)).isAllowed(
      'renew',
      question(),
    );
    expect(answer.allowed).toBe(false);
    expect(answer.errors.length).toBeGreaterThan(0);
  });

  test.each([Number.NaN, Number.POSITIVE_INFINITY, 1e300, -1, 0.5])(
    'a duration of %d does not widen anything',
    (durationSeconds) => {
      const short = load(
        permit(
          'g',
          'grant',
          'when { context.request.durationSeconds <= 3600 && context.request.durationSeconds > 1 }',
        ),
      );
      expect(short.decideAccess(question({ durationSeconds })).effect).toBe('deny');
    },
  );

  test('hostile text in facts stays text', () => {
    const policy = load(
      permit(
        'g',
        'grant',
        'when { context.incident.known && context.incident.value.id == "P1" && context.shift.known && context.shift.value.schedules.contains("orders-primary") }',
      ),
    );
    const decide = (id: string, schedules: string[]) =>
      policy.decideAccess(question({ facts: { incident: incident({ id }), shift: shift({ schedules }) } }))
        .effect;
    expect(decide('P1', ['orders-primary'])).toBe('grant');
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(decide(text === 'P1' ? 'P2' : text, ['orders-primary'])).toBe('deny');
        expect(decide('P1', [text === 'orders-primary' ? 'x' : text])).toBe('deny');
      }),
    );
    for (const text of [
      'P1" || true',
      'User::"ana"',
      '{"__entity":{}}',
      '\u0000',
      '\ud800',
      '__extn',
      'P1\u0000',
    ]) {
      expect(decide(text, ['orders-primary'])).toBe('deny');
    }
  });

  test('an object where text belongs is an error, not an entity', () => {
    const policy = load(
      permit('g', 'grant', 'when { context.incident.known && context.incident.value.id != "P1" }'),
    );
    const id = { __entity: { type: 'User', id: 'ana', more: 1 } } as unknown as string;
    expect(policy.decideAccess(question({ facts: { incident: incident({ id }) } }))).toMatchObject({
      effect: 'deny',
      errors: [expect.any(String), expect.any(String)],
    });
  });
});

describe('rules read', () => {
  const granted = (condition: string, over: Parameters<typeof question>[0] = {}) =>
    load(permit('g', 'grant', `when { ${condition} }`)).decideAccess(question(over)).effect === 'grant';

  test.each([
    'resource.name == "read" && resource.rank == 0 && resource.resourceName == "db-replica"',
    'resource.service == "orders" && resource.environment == "production" && resource.kind == "postgres"',
    'resource.sensitivity == "medium" && resource.defaultSeconds == 7200 && resource.maxSeconds == 14400',
    'resource in Resource::"db-replica" && resource == Role::"db-replica:read"',
    'principal in Group::"sre" && principal.groups.contains("leads") && principal == User::"ana"',
    'context.request.hasReason && context.request.durationSeconds == 7200',
    'context.now > datetime("2026-06-01T02:13:59Z") && context.now < datetime("2026-06-01T02:14:01Z")',
    'context.beneficiary.known && context.beneficiary.value == principal',
    'context.device.known && context.device.value.keystore == "keychain" && context.device.value.enrolledSeconds == 1000',
    'context.presence.known && context.presence.value.method == "none"',
    '!context.risk.known && !context.incident.known',
  ])('%s', (condition) => expect(granted(condition)).toBe(true));

  test('the level held on one schedule, whatever is held on others', () => {
    const upToTwo =
      'context.shift.known && context.shift.value.positions.containsAny(["orders-primary level 1", "orders-primary level 2"])';
    const at = (positions: string[]) => granted(upToTwo, { facts: { shift: shift({ positions }) } });
    expect(at(['orders-primary level 2'])).toBe(true);
    expect(at(['payments level 1', 'orders-primary level 3'])).toBe(false);
  });

  test('whether an incident’s source is trusted and has confirmed it', () => {
    const vouched =
      'context.incident.known && context.incident.value.trusted && context.incident.value.confirmed';
    expect(granted(vouched, { facts: { incident: incident() } })).toBe(true);
    expect(granted(vouched, { facts: { incident: incident({ confirmed: false }) } })).toBe(false);
    expect(granted(vouched, { facts: { incident: incident({ trusted: false }) } })).toBe(false);
  });

  test('neither value nor age of what is not known', () => {
    // The lint lets no rule look, so this looks at what Cedar is handed.
    const asked = {
      facts: allUnknown,
      nowMs: NOW,
      durationSeconds: 60,
      hasReason: true,
      beneficiary: undefined,
    };
    expect(buildContext(['shift', 'risk'], asked)).toEqual({
      shift: {
        known: false,
        value: { onCall: false, level: 0, schedules: [], positions: [], coversResource: false },
        source: 'test',
        ageSeconds: Number.MAX_SAFE_INTEGER,
      },
      risk: {
        known: false,
        value: { score: Number.MAX_SAFE_INTEGER },
        source: 'test',
        ageSeconds: Number.MAX_SAFE_INTEGER,
      },
    });
  });
});

describe('for any question', () => {
  const starter = load(STARTER_POLICY, catalogue);

  test('the same question gets the same answer, from a policy loaded twice as well', () => {
    const again = load(STARTER_POLICY, catalogue);
    fc.assert(
      fc.property(questions, (asked) => {
        const decision = starter.decideAccess(asked);
        expect(starter.decideAccess(structuredClone(asked))).toEqual(decision);
        expect(again.decideAccess(asked)).toEqual(decision);
      }),
    );
  });

  test('another forbid never widens the answer, and wins where it applies', () => {
    const forbids = [
      ['action == Action::"grant"', ''],
      ['action', 'when { resource is Role && resource.sensitivity == "medium" }'],
      [
        'action in [Action::"grant", Action::"ask"]',
        'unless { context.incident.known && context.incident.value.open }',
      ],
      ['action == Action::"ask"', 'when { resource.rank > 0 }'],
    ].map(([scope = '', rest]) => load(`${STARTER_POLICY}\n${forbid('more', scope, rest)}`, catalogue));
    const shut = load(`${STARTER_POLICY}\n${forbid('shut', 'action')}`, catalogue);
    fc.assert(
      fc.property(questions, fc.constantFrom(...forbids), (asked, narrower) => {
        const before = RANK[starter.decideAccess(asked).effect];
        expect(RANK[narrower.decideAccess(asked).effect]).toBeLessThanOrEqual(before);
        expect(shut.decideAccess(asked).effect).toBe('deny');
        for (const action of ['renew', 'extend', 'break-glass'] as const) {
          expect(Number(narrower.isAllowed(action, asked).allowed)).toBeLessThanOrEqual(
            Number(starter.isAllowed(action, asked).allowed),
          );
        }
      }),
    );
  });

  test('forgetting a fact never widens the answer', () => {
    fc.assert(
      fc.property(questions, fc.constantFrom('shift' as const, 'incident' as const), (asked, name) => {
        const forgotten = {
          ...asked,
          facts: { ...asked.facts, [name]: { ...asked.facts[name], known: false } },
        };
        expect(RANK[starter.decideAccess(forgotten).effect]).toBeLessThanOrEqual(
          RANK[starter.decideAccess(asked).effect],
        );
      }),
    );
  });

  test('what is granted could have been taken away by the incident being their own', () => {
    fc.assert(
      fc.property(questions, (asked) => {
        const { incident: fact } = asked.facts;
        const own = {
          ...asked,
          facts: { ...asked.facts, incident: { ...fact, value: { ...fact.value, byBeneficiary: true } } },
        };
        expect(starter.decideAccess(own).effect).not.toBe('grant');
      }),
    );
  });
});
