// What the order of phases protects, and whether break-glass would work on the day when nothing else does.
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { brokerCheck } from '../../src/broker/commands.ts';
import { toFinding } from '../../src/broker/gap.ts';
import { hostId } from '../../src/broker/hosts.ts';
import { checkPhases, rolloutOf } from '../../src/broker/phases.ts';
import type { Rules } from '../../src/broker/rules.ts';
import { createShiftBook } from '../../src/broker/shift-book.ts';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import { starterCatalogue } from '../../src/catalogue/starter.ts';
import type { Finding } from '../../src/catalogue/types.ts';
import { STARTER_POLICY } from '../../src/policy/starter.ts';
import { openSqliteStore } from '../../src/store/sqlite.ts';
import { load, NOW } from '../policy/questions.ts';
import { install } from '../support/installation.ts';

const DAY = 86_400_000;
const STARTER = starterCatalogue({ admin: 'ana' });
const DRILLED = new Map([
  ['db-replica', NOW - DAY],
  ['db-host', NOW - DAY],
]);
/** Both resources in production, by replacing what stands in the starter. */
const PRODUCTION = edit(STARTER, [
  ['phase: 1 # 2 when', 'phase: 2 # 2 when'],
  ['    breakGlass: { roles: [operator] }', '    breakGlass: { roles: [operator] }\n    phase: 2'],
]);
const NO_GROUPS = edit(STARTER_POLICY, [['principal in Group::"sre" || ', '']]);
const FROM_PAGER: [string, string][] = [
  [
    /timeZone: Etc\/UTC\n {4}rotations:\n.*\n.*\n/.exec(STARTER)?.[0] ?? '',
    'from: { source: pager, id: P1 }\n',
  ],
  ['\nservices:', '\nsources:\n  pager: { type: pagerduty, token: { env: NONE } }\nservices:'],
  ['groups: [sre, leads, oncall-admins]', 'groups: [sre, leads, oncall-admins]\n    ids: { pager: P9 }'],
];

function edit(text: string, changes: readonly (readonly [string, string])[]): string {
  return changes.reduce((before, [from, to]) => {
    expect(before, from).toContain(from);
    return before.replace(from, () => to);
  }, text);
}

function rulesOf(text: string, policy = STARTER_POLICY): Rules {
  const { catalogue, findings } = parseCatalogue(text, 'catalogue.yaml', '/');
  if (!catalogue) throw new Error(JSON.stringify(findings));
  return { catalogue, policy: load(policy, catalogue), shifts: createShiftBook(catalogue) };
}

function check(
  text: string,
  {
    policy = STARTER_POLICY,
    drilled = DRILLED,
  }: { policy?: string; drilled?: typeof DRILLED | 'nowhere' } = {},
) {
  const rules = rulesOf(text, policy);
  const gaps = checkPhases(rules, drilled === 'nowhere' ? undefined : drilled, NOW);
  return gaps.map((gap) => toFinding(rules.catalogue, 'catalogue.yaml', gap));
}

const errors = (findings: readonly Finding[]) => findings.filter(({ severity }) => severity === 'error');
const lineOf = (text: string, part: string) => text.slice(0, text.indexOf(part)).split('\n').length;

describe('break-glass with everything down', () => {
  it('works in the installation that one begins with, and in production once it was tried', () => {
    expect(check(STARTER)).toEqual([]);
    expect(check(PRODUCTION)).toEqual([]);
  });

  it('opens to a rule about the shift only as long as the catalogue itself says who is on call', () => {
    expect(check(STARTER, { policy: NO_GROUPS })).toEqual([]);
    const text = edit(STARTER, FROM_PAGER);
    expect(check(text)).toEqual([]);
    const [found, ...others] = check(text, { policy: NO_GROUPS });
    expect(found).toMatchObject({
      severity: 'error',
      line: lineOf(text, 'breakGlass: { roles: [read]'),
      message: expect.stringContaining('nobody on call could get into db-replica:read'),
      hint: expect.stringContaining('break-glass'),
    });
    expect(others).toMatchObject([{ message: expect.stringContaining('db-host:operator') }]);
  });

  it('is refused by an error where no rule permits it', () => {
    const policy = edit(STARTER_POLICY, [['action == Action::"break-glass"', 'action == Action::"renew"']]);
    expect(errors(check(STARTER, { policy }))).toHaveLength(2);
  });

  it('names those who may be on call and would stand outside', () => {
    const text = edit(STARTER, [['groups: [sre, orders]', 'groups: [orders]']]);
    const policy = edit(STARTER_POLICY, [
      [' || (context.shift.known && context.shift.value.coversResource)', ''],
    ]);
    const found = check(text, { policy });
    expect(found.map(({ severity }) => severity)).toEqual(['warning', 'warning']);
    expect(found[0]?.message).toContain('example-engineer');
  });
});

describe('people hear of break-glass', () => {
  const mail = /\n {2}mail: .*/.exec(STARTER)?.[0] ?? '';
  it.each<[string, [string, string][], boolean]>([
    ['e-mail and chat', [], true],
    ['chat alone', [[mail, '']], false],
    ['two chats of one vendor', [[mail, '\n  more: { type: slack, webhook: { file: a } }']], false],
    ['e-mail that nobody of them has', [['    email: lead@example.com\n', '']], false],
    [
      'e-mail that is not told of it',
      [['oncall@example.com, notices: [break-glass]', 'oncall@example.com, notices: [review]']],
      false,
    ],
    [
      'chat and a webhook',
      [[mail, '\n  hook: { type: webhook, url: "https://a.example.com/", secret: { file: a } }']],
      true,
    ],
    ['nobody is named', [['\nbreakGlass:\n  notify: [group:leads, group:security]', '']], false],
  ])('on two ways that do not fail together: %s', (_, changes, isEnough) => {
    const text = edit(STARTER, changes);
    const found = errors(check(text));
    expect(found).toHaveLength(isEnough ? 0 : 1);
    const heading = text.includes('\nbreakGlass:') ? '\nbreakGlass:' : '    breakGlass: { roles: [read]';
    if (!isEnough) expect(found[0]?.line).toBe(lineOf(text, heading) + (heading.startsWith('\n') ? 1 : 0));
  });

  it('is not asked of a catalogue without break-glass', () => {
    const text = STARTER.replace(/^ {4}breakGlass: .*$/gm, '').replace(/\nnotify:.*/s, '');
    expect(check(text)).toEqual([]);
  });

  it('and a second person has to be found, not always the same one', () => {
    const two: [string, string] = ['window: 1h, max: 2h }', 'twoPerson: true }'];
    expect(check(edit(STARTER, [two]))).toEqual([]);
    const text = edit(STARTER, [two, ['notify: [group:leads, group:security]', 'notify: [example-lead]']]);
    expect(errors(check(text))).toMatchObject([
      {
        line: lineOf(text, 'breakGlass: { roles: [read]'),
        message: expect.stringContaining('only example-lead'),
      },
    ]);
  });
});

describe('nothing is in production', () => {
  it.each<[string, [string, string][], string, string]>([
    [
      'a break-glass path',
      [['    breakGlass: { roles: [operator] }\n', '']],
      'no break-glass path',
      'db-host:',
    ],
    [
      'an approval chain that hangs on nobody',
      [['approvers: [group:leads]', 'approvers: [example-lead]']],
      'hangs on example-lead',
      'leads: {',
    ],
    ['a window of two hours', [['default: 2h, max: 4h', 'default: 1h, max: 4h']], 'is 1h', 'session:'],
    [
      'a window that can be extended',
      [['maxExtensions: 4', 'maxExtensions: 0']],
      'can not be extended',
      'session:',
    ],
    [
      'a window with room to be extended',
      [['default: 2h, max: 4h', 'default: 4h, max: 4h']],
      'can not be extended',
      'session:',
    ],
  ])('without %s', (_, changes, message, mark) => {
    const text = edit(PRODUCTION, changes);
    const found = errors(check(text));
    expect(found[0]?.message).toContain(message);
    expect(found[0]?.line).toBe(lineOf(text, mark));
    expect(found[0]?.hint).toBeTruthy();
    expect(
      check(text.replaceAll('phase: 2', 'phase: 1')).filter(({ message: other }) => other.includes(message)),
    ).toEqual([]);
  });

  it.each([
    ['ask', 'no approval chain leads there'],
    ['extend', 'lets nobody on call extend'],
  ])('without a rule that lets anybody %s', (action, message) => {
    const policy = STARTER_POLICY.replaceAll(
      '@chain("leads")\n',
      action === 'ask' ? '' : '@chain("leads")\n',
    );
    const without = policy.replaceAll(`action == Action::"${action}"`, 'action == Action::"renew"');
    const found = errors(check(PRODUCTION, { policy: without }));
    expect(found.map((finding) => finding.message)).toContainEqual(expect.stringContaining(message));
  });

  it.each<[string, ReadonlyMap<string, number>, number]>([
    ['never', new Map(), 2],
    [
      'too long ago',
      new Map([
        ['db-replica', NOW - 91 * DAY],
        ['db-host', NOW - 89 * DAY],
      ]),
      1,
    ],
    ['lately', DRILLED, 0],
  ])('without a drill that passed: %s', (_, drilled, count) => {
    const found = errors(check(PRODUCTION, { drilled: new Map(drilled) }));
    expect(found).toHaveLength(count);
    for (const { hint } of found) expect(hint).toContain('oncall drill');
  });

  it('without one on a canary of its kind at least', () => {
    const canary = PRODUCTION.replace(
      '\n# Opened together',
      `
  db-canary:
    type: ssh
    service: orders
    environment: production
    sensitivity: low
    canary: true
    hosts: [{ name: c-1, host: 127.0.0.1, hostKeys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIK4hODvxhIL3kuR7p1yt9ZwvpPEtRAxxrWJtVe0y6eo4] }]
    roles: { operator: { login: ops } }
    breakGlass: {}

# Opened together`,
    );
    const found = errors(check(canary, { drilled: new Map([['db-canary', NOW - DAY]]) }));
    expect(found).toMatchObject([{ message: expect.stringContaining('db-replica') }]);
  });

  it('says that it could not look where there is no store', () => {
    const found = check(PRODUCTION, { drilled: 'nowhere' });
    expect(found.map(({ severity }) => severity)).toEqual(['warning', 'warning']);
  });
});

describe('nothing is in production with automation', () => {
  const AUTOMATED = edit(PRODUCTION, [['phase: 2 # 2 when', 'phase: 3 # 2 when']]);
  const bundle = 'bundles: { night: { targets: [db-replica] }, other: { targets: ["db-host:operator"] } }';
  it.each<[string, string, boolean]>([
    ['nothing', '', false],
    ['its shift', `automation: { a: { on: { shift: orders-primary }, bundle: night } }\n${bundle}`, true],
    [
      'its alert',
      `automation: { a: { on: { alert: { service: orders } }, bundle: night } }\n${bundle}`,
      true,
    ],
    [
      'something else',
      `automation: { a: { on: { shift: orders-primary }, bundle: other } }\n${bundle}`,
      false,
    ],
  ])('unless it opens for its shift or its alert: %s', (_, more, isEnough) => {
    const found = errors(check(`${AUTOMATED}\n${more}\n`));
    expect(found.map(({ message }) => message.includes('nothing opens db-replica'))).toEqual(
      isEnough ? [] : [true],
    );
  });
});

describe('the rollout', () => {
  it('shows for each resource its phase, and what is missing for the next', () => {
    const rows = rolloutOf(
      rulesOf(edit(STARTER, [['    breakGlass: { roles: [operator] }\n', '    phase: 2\n']])),
      new Map(),
      NOW,
    );
    expect(rows).toMatchObject([
      {
        resource: 'db-replica',
        phase: 1,
        next: 2,
        broken: [],
        missing: [{ message: expect.stringContaining('never tried') }],
      },
      {
        resource: 'db-host',
        phase: 2,
        next: 3,
        broken: [
          {
            message: expect.stringContaining('no break-glass path'),
            fix: expect.stringContaining('operator'),
          },
        ],
        missing: [{ message: expect.stringContaining('nothing opens db-host') }],
      },
    ]);
  });
});

describe('oncall broker check', () => {
  const host = {
    out: () => undefined,
    program: [],
    err: () => undefined,
    env: {},
    now: () => NOW,
    signal: new AbortController().signal,
    onReload: () => undefined,
  };

  it('looks for drills in the store, and passes as soon as there are some', async () => {
    const { directory } = await install({ catalogue: PRODUCTION, policy: STARTER_POLICY });
    const file = join(directory, 'oncall.db');
    const before = await brokerCheck({ directory }, host);
    expect(before.failure).toMatchObject({ code: 'check_failed' });
    const store = await openSqliteStore({ file, now: () => NOW });
    const drill = {
      role: 'read',
      user: 'ana',
      deviceId: 'dev_1',
      path: 'offline',
      tookMs: 900,
      note: '',
    } as const;
    await store.write(async (tx) => {
      for (const resource of ['db-replica', 'db-host']) {
        await tx.insertDrill({ ...drill, id: `a-${resource}`, resource, passed: 1, at: NOW - DAY });
        await tx.insertDrill({ ...drill, id: `b-${resource}`, resource, passed: 0, at: NOW });
        await tx.insertHost({
          ...{ id: hostId({ resource, name: `${resource}-1` }), resource, publicKey: 'ed25519:x' },
          ...{ state: 'active', addedBy: 'dora', addedAt: NOW, lastSeenAt: NOW },
        });
      }
    });
    await store.close();
    expect((await brokerCheck({ directory }, host)).failure).toBeUndefined();
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
    const { failure, data } = await brokerCheck({ directory }, host);
    expect(failure).toBeUndefined();
    expect(JSON.stringify(data)).toContain('could not be looked up');
  });
});
