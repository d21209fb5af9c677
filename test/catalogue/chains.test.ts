import { describe, expect, test } from 'vitest';
import { formatApprover, parseApprover } from '../../src/catalogue/approvers.ts';
import { parse } from './edited.ts';

const PEOPLE = `groups: [leads, security, nobody]
people:
  ana: { groups: [leads], manager: carla }
  ben: { groups: [leads], manager: carla }
  carla: { groups: [security] }
  dora: { manager: ana, ids: { pd: U1 } }
sources: { pd: { type: pagerduty, token: { env: PD } } }
schedules:
  primary:
    timeZone: Etc/UTC
    rotations:
      - { level: 1, people: [ana, ben], startsAt: 2026-01-05T09:00, every: 7d }
      - { level: 2, people: [carla], startsAt: 2026-01-05T09:00, every: 7d }
  outside: { from: { source: pd, id: S1 } }
approvals:
  c: `;

const read = (chain: string) => parse(`${PEOPLE}${chain}\n`);
const chainOf = (chain: string) => {
  const { catalogue, findings } = read(chain);
  expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  return catalogue?.chains.get('c');
};
const warnings = (chain: string) => {
  const { catalogue, findings } = read(chain);
  expect(catalogue).toBeDefined();
  return findings.map(({ severity, message }) => `${severity}: ${message}`);
};

describe('approvers', () => {
  test.each([
    ['ana', { kind: 'person', id: 'ana' }],
    ['a.b@example.com', { kind: 'person', id: 'a.b@example.com' }],
    ['group:leads', { kind: 'group', id: 'leads' }],
    ['manager', { kind: 'manager' }],
    ['schedule:primary', { kind: 'schedule', id: 'primary', level: undefined }],
    ['schedule:primary level 2', { kind: 'schedule', id: 'primary', level: 2 }],
  ] as const)('%s is read, and written the same', (text, approver) => {
    expect(parseApprover(text)).toEqual(approver);
    expect(formatApprover(approver)).toBe(text);
  });

  test.each([
    'ana level 1',
    'group:leads level 1',
    'schedule:primary level 0',
    'schedule:primary level 10',
    'schedule:primary level',
    'schedule:primary  level 1',
    'group:',
    'schedule:',
    'team:leads',
    'group:a:b',
    'a b',
    '',
  ])('%j is none', (text) => expect(parseApprover(text)).toBeUndefined());
});

describe('a chain', () => {
  test('in its short form is one stage of one party, which waits until the request expires', () => {
    expect(chainOf('{ approvers: [carla, group:leads], need: 2, expires: 30m }')).toEqual({
      id: 'c',
      stages: [
        {
          parties: [
            {
              approvers: [
                { kind: 'person', id: 'carla' },
                { kind: 'group', id: 'leads' },
              ],
              need: 2,
            },
          ],
          waitSeconds: undefined,
          otherwise: 'deny',
        },
      ],
      expiresSeconds: 1800,
    });
  });

  test('of stages goes on to the next, and ends in denying', () => {
    const chain = chainOf(`
    stages:
      - { approvers: ["schedule:primary level 1"], wait: 5m }
      - parties:
          - { approvers: [group:security] }
          - { approvers: [manager, group:leads], need: 2 }
        wait: 10m
        then: next
      - { approvers: [carla, group:leads] }`);
    expect(chain?.stages).toEqual([
      {
        parties: [{ approvers: [{ kind: 'schedule', id: 'primary', level: 1 }], need: 1 }],
        waitSeconds: 300,
        otherwise: 'next',
      },
      {
        parties: [
          { approvers: [{ kind: 'group', id: 'security' }], need: 1 },
          { approvers: [{ kind: 'manager' }, { kind: 'group', id: 'leads' }], need: 2 },
        ],
        waitSeconds: 600,
        otherwise: 'next',
      },
      {
        parties: [
          {
            approvers: [
              { kind: 'person', id: 'carla' },
              { kind: 'group', id: 'leads' },
            ],
            need: 1,
          },
        ],
        waitSeconds: undefined,
        otherwise: 'deny',
      },
    ]);
    expect(chain?.expiresSeconds).toBe(3600);
  });

  test('may end in an override, after a wait', () => {
    const [stage] =
      chainOf('{ stages: [{ approvers: [group:leads], wait: 5m, then: auto-override }] }')?.stages ?? [];
    expect(stage).toMatchObject({ waitSeconds: 300, otherwise: 'auto-override' });
  });
});

describe('refuses', () => {
  test.each([
    ['a person who does not exist', '{ approvers: [crala] }', 'carla'],
    ['a group that does not exist', '{ approvers: [group:laeds] }', 'leads'],
    ['a schedule that does not exist', '{ approvers: ["schedule:pirmary level 1"] }', 'primary'],
    ['a level that nobody holds', '{ approvers: ["schedule:primary level 3"] }', '1, 2'],
    ['what is no approver', '{ approvers: ["primary level 1"] }', 'schedule:'],
    ['nobody', '{ approvers: [] }', 'approvers:'],
    ['neither approvers nor stages', '{ expires: 1h }', 'approvers:'],
    ['both', '{ approvers: [ana], stages: [{ approvers: [ben] }] }', 'into a stage'],
    [
      'a stage of both',
      '{ stages: [{ approvers: [ana], parties: [{ approvers: [ben] }] }] }',
      'into a party',
    ],
    [
      'a first stage that waits for ever',
      '{ stages: [{ approvers: [ana] }, { approvers: [ben] }] }',
      'wait:',
    ],
    [
      'a stage that is never reached',
      '{ stages: [{ approvers: [ana], wait: 1m, then: deny }, { approvers: [ben] }] }',
      'then: next',
    ],
    ['a next that is not there', '{ stages: [{ approvers: [ana], wait: 1m, then: next }] }', 'then: deny'],
    ['an override at once', '{ stages: [{ approvers: [ana], then: auto-override }] }', 'wait:'],
    [
      'an outcome that does not exist',
      '{ stages: [{ approvers: [ana], wait: 1m, then: grant }] }',
      'auto-override',
    ],
    [
      'waits longer than the request lives',
      '{ expires: 10m, stages: [{ approvers: [ana], wait: 6m }, { approvers: [ben], wait: 6m }] }',
      'expires',
    ],
    [
      'waits that leave the last stage no time',
      '{ stages: [{ approvers: [ana], wait: 1h }, { approvers: [ben] }] }',
      'expires',
    ],
  ])('%s', (_, chain, hint) => {
    const { catalogue, findings } = read(chain);
    expect(catalogue).toBeUndefined();
    expect(findings).toContainEqual(
      expect.objectContaining({
        severity: 'error',
        line: expect.any(Number),
        column: expect.any(Number),
        hint: expect.stringContaining(hint),
      }),
    );
  });

  test.each([
    ['a need of none', '{ approvers: [ana], need: 0 }'],
    ['a need of hundreds', '{ approvers: [ana], need: 500 }'],
    ['no stages', '{ stages: [] }'],
    ['eleven stages', `{ stages: [${'{ approvers: [ana], wait: 1m }, '.repeat(10)} { approvers: [ben] }] }`],
    ['no parties', '{ stages: [{ parties: [] }] }'],
  ])('%s', (_, chain) => expect(read(chain).catalogue).toBeUndefined());

  test('a person named like the word for everybody’s manager', () => {
    const text = `${PEOPLE}{ approvers: [manager, ana] }\n`.replace('  dora:', '  manager: {}\n  dora:');
    expect(parse(text).findings).toEqual([
      expect.objectContaining({ severity: 'error', hint: expect.stringContaining('rename') }),
    ]);
  });
});

describe('says before anybody waits that', () => {
  test.each([
    ['{ approvers: [group:leads] }', []],
    ['{ approvers: [manager, group:leads, carla] }', []],
    ['{ stages: [{ approvers: [manager], wait: 5m }, { approvers: [group:leads, carla] }] }', []],
    ['{ approvers: ["schedule:primary level 1", carla] }', []],
    ['{ stages: [{ parties: [{ approvers: [carla, dora] }, { approvers: [group:leads] }] }] }', []],
  ])('nothing is wrong with %s', (chain, expected) => expect(warnings(chain)).toEqual(expected));

  test.each([
    ['one person approves alone', '{ approvers: [carla] }', /^warning: carla is the only approver/],
    ['a group of one does', '{ approvers: [group:security, carla] }', /^warning: carla is the only approver/],
    [
      'one person is in every stage’s way',
      '{ stages: [{ parties: [{ approvers: [carla] }, { approvers: [ana, ben] }], wait: 5m }, { approvers: [group:security] }] }',
      /hangs on carla/,
    ],
    ['everybody is needed', '{ approvers: [ana, ben], need: 2 }', /hangs on ana and ben/],
    [
      'it hangs on whoever is on call',
      '{ approvers: ["schedule:primary level 1"] }',
      /hangs on whoever is primary level 1/,
    ],
    [
      'it hangs on who is on call elsewhere',
      '{ approvers: ["schedule:outside level 1"] }',
      /hangs on whoever is outside level 1/,
    ],
    [
      'the only one on a rotation approves alone',
      '{ approvers: ["schedule:primary level 2"] }',
      /carla is the only approver/,
    ],
    ['a group has nobody', '{ approvers: [group:nobody] }', /nobody can approve on approvals\.c$/],
    [
      'more are needed than there are',
      '{ approvers: [group:leads], need: 3 }',
      /needs 3 people, and only ana and ben/,
    ],
    [
      'a party has nobody',
      '{ stages: [{ parties: [{ approvers: [ana, ben] }, { approvers: [group:nobody] }], wait: 5m }, { approvers: [ana, carla] }] }',
      /nobody can approve on approvals\.c\.stages\.1\.parties\.2/,
    ],
    [
      'two parties have one person between them',
      '{ stages: [{ parties: [{ approvers: [carla] }, { approvers: [group:security] }] }] }',
      /the parties of approvals\.c\.stages\.1 need 2 people, and carla cannot/,
    ],
  ])('%s', (_, chain, message) => expect(warnings(chain)).toEqual([expect.stringMatching(message)]));

  test('a manager alone is one person, and nobody for those who have none', () => {
    expect(warnings('{ approvers: [manager] }')).toEqual([
      expect.stringMatching(/hangs on the requester's manager/),
      expect.stringMatching(/nobody can approve on approvals\.c what carla asks for/),
    ]);
  });

  test('somebody’s own requests have nobody else', () => {
    // Carla has no manager, and is the only other approver.
    expect(warnings('{ approvers: [manager, carla] }')).toEqual([
      expect.stringMatching(/what carla asks for/),
    ]);
    // An override is no yes for oneself.
    expect(warnings('{ stages: [{ approvers: [carla], wait: 5m, then: auto-override }] }')).toEqual([
      expect.stringMatching(/what carla asks for/),
    ]);
    // While ana is on call herself, the schedule is no other.
    expect(warnings('{ approvers: [ana, "schedule:primary level 1"] }')).toEqual([
      expect.stringMatching(/what ana asks for/),
    ]);
  });

  test('the same of ten thousand people, soon', () => {
    const people = Array.from({ length: 10_000 }, (_, i) => `  p${i}: { groups: [g], manager: p0 }\n`)
      .join('')
      .replace(', manager: p0', '');
    const chains = Array.from(
      { length: 10 },
      (_, i) =>
        `  c${i}: { stages: [{ parties: [{ approvers: [manager, group:g], need: 3 }, { approvers: [group:g] }] }] }\n`,
    ).join('');
    const startedAt = performance.now();
    expect(parse(`groups: [g]\npeople:\n${people}approvals:\n${chains}`).findings).toEqual([]);
    expect(performance.now() - startedAt).toBeLessThan(20_000);
  });
});
