import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { starterCatalogue } from '../../src/catalogue/starter.ts';
import { completeYaml as YAML } from './complete.ts';
import { edited, parse } from './edited.ts';

describe('a right catalogue', () => {
  const { catalogue, findings } = parse(YAML);

  test('has no findings', () => expect(findings).toEqual([]));

  test('reads every section', () => {
    expect(catalogue?.people.get('ana')).toEqual({
      id: 'ana',
      name: 'Ana Ruiz',
      email: 'ana@example.com',
      groups: ['sre'],
      manager: 'carla',
      ids: { pagerduty: 'PABC' },
    });
    expect(catalogue?.groups).toEqual(new Set(['sre', 'dba']));
    expect(catalogue?.services.get('orders')).toMatchObject({ id: 'orders', schedules: ['orders-primary'] });
    expect(catalogue?.chains.get('leads')).toEqual({
      id: 'leads',
      stages: [
        {
          parties: [
            {
              approvers: [
                { kind: 'person', id: 'carla' },
                { kind: 'group', id: 'dba' },
              ],
              need: 1,
            },
          ],
          waitSeconds: undefined,
          otherwise: 'deny',
        },
      ],
      expiresSeconds: 1800,
    });
    expect(catalogue?.schedules.get('orders-primary')).toMatchObject({
      id: 'orders-primary',
      timeZone: 'Europe/Berlin',
      rotations: [{ level: 1, people: ['ana', 'ben'], startsAt: '2026-01-05T09:00', lengthDays: 7 }],
      overrides: [
        {
          level: 1,
          user: 'carla',
          startsAtMs: Date.UTC(2026, 1, 1, 8),
          endsAtMs: Date.UTC(2026, 1, 2, 8),
        },
      ],
    });
    expect(catalogue?.directory).toBe('/etc/oncall');
    expect(catalogue?.sha256).toMatch(/^[0-9a-f]{64}$/);
  });

  test('reads a postgres resource, roles in the order written', () => {
    expect(catalogue?.resources.get('db-replica')).toEqual({
      id: 'db-replica',
      description: 'Orders database, read replica',
      service: 'orders',
      environment: 'production',
      sensitivity: 'medium',
      defaultRole: 'read',
      roles: ['read', 'write'],
      session: { defaultSeconds: 3600, maxSeconds: 10_800, maxExtensions: 2 },
      credentialSeconds: 300,
      phase: 2,
      breakGlass: {
        roles: ['read'],
        windowSeconds: 1800,
        maxWindowSeconds: 7200,
        twoPerson: true,
        offline: true,
      },
      canary: false,
      target: {
        kind: 'postgres',
        host: '127.0.0.1',
        port: 5433,
        database: 'orders',
        sslMode: 'verify-full',
        caFile: 'pg-ca.pem',
        broker: { user: 'oncall_broker', password: { file: 'secrets/db-replica' } },
        quarantineRole: 'oncall_quarantine',
        keepDefiners: false,
        maxRoles: 200,
        roles: new Map([
          ['read', { template: 'oncall_tpl_read', description: undefined }],
          ['write', { template: 'oncall_tpl_write', description: undefined }],
        ]),
      },
    });
  });

  test('reads an ssh resource and fills in the defaults', () => {
    const host = catalogue?.resources.get('db-host');
    expect(host).toMatchObject({
      defaultRole: 'operator',
      session: { defaultSeconds: 7200, maxSeconds: 14_400, maxExtensions: 4 },
      credentialSeconds: 300,
    });
    expect(host?.target).toMatchObject({
      kind: 'ssh',
      hosts: [{ name: 'db-host-1', host: '10.0.0.5', port: 22 }],
      roles: new Map([
        [
          'operator',
          { login: 'ops', forceCommand: undefined, sourceAddress: '10.0.0.0/8', description: undefined },
        ],
      ]),
    });
    expect(host?.target.kind === 'ssh' && host.target.hosts[0]?.hostKeys[0]).toMatch(/^ssh-ed25519 \S+$/);
  });

  test('has another digest when a comment changes', () => {
    expect(parse(`${YAML}# more\n`).catalogue?.sha256).not.toBe(catalogue?.sha256);
  });

  test('may use aliases', () => {
    const { catalogue: aliased } = edited(
      'groups: [sre], manager: carla',
      'groups: &member [sre], manager: carla',
    );
    expect(aliased?.people.get('ana')?.groups).toEqual(['sre']);
  });
});

describe('a finding has a line, a column and a hint', () => {
  test.each([
    ['an unknown key', 'sensitivity: medium', 'sensitivty: medium', 'sensitivty', 'sensitivity'],
    ['an unknown section', 'approvals:', 'aprovals:', 'aprovals', 'approvals'],
    ['a dangling manager', 'manager: carla', 'manager: crala', 'crala', 'carla'],
    ['a dangling group', 'groups: [sre], manager', 'groups: [srr], manager', 'srr', 'sre'],
    ['a dangling approver', 'approvers: [carla,', 'approvers: [crla,', 'crla', 'carla'],
    ['a dangling group of approvers', 'group:dba', 'group:dbaa', 'group:dbaa', 'dba'],
    ['a dangling person on a schedule', 'people: [ana, ben]', 'people: [ana, bne]', 'bne', 'ben'],
    ['a dangling person on an override', 'user: carla', 'user: karla', 'karla', 'carla'],
    ['a dangling service', 'service: orders\n', 'service: order\n', 'order\n', 'orders'],
    [
      'a dangling schedule',
      'schedules: [orders-primary]',
      'schedules: [orders-pimary]',
      'orders-pim',
      'orders-primary',
    ],
    ['a dangling default role', 'defaultRole: read', 'defaultRole: raed', 'raed', 'read'],
    ['a wrong type', 'type: postgres', 'type: postgre', 'postgre\n', 'postgres'],
    ['a wrong time zone', 'Europe/Berlin', 'Europe/Berln', 'Europe/Berln', 'Europe/Berlin'],
    ['tabs', '    type: postgres', '\ttype: postgres', '\ttype', 'spaces'],
  ])('%s', (_, from, to, blamed, hint) => {
    const before = YAML.replace(from, to).split(blamed)[0] ?? '';
    const { catalogue, findings } = edited(from, to);
    expect(catalogue).toBeUndefined();
    expect(findings).toContainEqual({
      severity: 'error',
      file: 'catalogue.yaml',
      line: before.split('\n').length,
      column: before.length - before.lastIndexOf('\n'),
      message: expect.any(String),
      hint: expect.stringContaining(hint),
    });
  });
});

describe('refuses', () => {
  test.each([
    ['a default session longer than its max', 'default: 1h', 'default: 5h'],
    ['a session longer than a day', 'max: 3h', 'max: 25h'],
    ['a credential longer than the longest session', 'credential: 5m', 'credential: 200m'],
    ['an ssh certificate longer than five minutes', 'hosts:', 'credential: 6m\n    hosts:'],
    ['a duration without a unit', 'credential: 5m', 'credential: 300'],
    ['a duration of zero', 'credential: 5m', 'credential: 0s'],
    ['a negative duration', 'credential: 5m', 'credential: -5m'],
    ['999 days', 'max: 3h', 'max: 999d'],
    ['negative extensions', 'maxExtensions: 2', 'maxExtensions: -1'],
    ['a port that is none', 'port: 5433', 'port: 65536'],
    ['a key written twice', 'type: postgres', 'type: postgres\n    type: postgres'],
    ['a person written twice', '  ben: {', '  ana: { name: B }\n  ben: {'],
    ['a resource name with a slash', '  db-replica:', '  db/replica:'],
    ['a resource name with ..', '  db-replica:', '  "..":'],
    ['a resource name with a quote', '  db-replica:', `  "db'; drop table x":`],
    ['a person with a space', '  ben: {', '  "be n": {'],
    ['a terminal escape in a name', '  ben: {', '  "b\\e[31men": {'],
    ['a terminal escape in a description', 'Orders database', '"\\e]0;x\\a"'],
    ['a bidirectional mark in a description', 'Orders database', '"a\\u202eb"'],
    ['a name that is a number', '  ben: {', '  42: {'],
    ['a template that is SQL', 'oncall_tpl_read', '"x; drop role y"'],
    ['the broker as a template', 'oncall_tpl_read', 'oncall_broker'],
    ['the quarantine owner as a template', 'oncall_tpl_read', 'oncall_quarantine'],
    ['an inline password', 'password: { file: secrets/db-replica }', 'password: hunter2'],
    ['a password that is two things', 'file: secrets/db-replica', 'file: a, env: B'],
    ['a host that is an option', '10.0.0.5', '-oProxyCommand=x'],
    ['a host key that is none', 'ssh-ed25519 AAAAC3', 'ssh-ed25519 BBBBC3'],
    ['a host that nothing vouches for', 'hostKeys: [', 'hostKeys: [] # ['],
    ['a login that is an option', 'login: ops', 'login: "-x"'],
    ['a source address that is none', '10.0.0.0/8', '10.0.0.0/33'],
    ['turns of half a day', 'every: 7d', 'every: 12h'],
    ['a date that does not exist', '2026-01-05T09:00', '2026-02-30T09:00'],
    ['an override that ends before it starts', 'endsAt: 2026-02-02', 'endsAt: 2026-01-02'],
    [
      'two rotations at one level',
      'rotations:',
      'rotations:\n      - { level: 1, people: [ben], startsAt: 2026-01-05T09:00, every: 1d }',
    ],
    [
      'two overrides at once',
      'overrides:',
      'overrides:\n      - { level: 1, user: ben, startsAt: 2026-02-01T10:00, endsAt: 2026-02-01T11:00 }',
    ],
    ['an override of a level that nobody has', '{ level: 1, user: carla', '{ level: 2, user: carla'],
    ['a rotation without people', 'people: [ana, ben]', 'people: []'],
    ['somebody who is their own manager', 'manager: carla', 'manager: ana'],
    ['a chain without approvers', 'approvers: [carla, group:dba]', 'approvers: []'],
    ['a tag', 'Orders database', '!!js/function x'],
    ['a second document', 'approvals:', '---\napprovals:'],
    ['a merge key', 'type: postgres', 'type: postgres\n    <<: {}'],
    ['an alias that nothing anchors', 'service: orders\n', 'service: *nothing\n'],
  ])('%s', (_, from, to) => {
    const { catalogue, findings } = edited(from, to);
    expect(catalogue).toBeUndefined();
    expect(findings.filter(({ severity }) => severity === 'error').length).toBeGreaterThan(0);
    for (const finding of findings) {
      expect(finding.line).toBeGreaterThan(0);
      expect(finding.column).toBeGreaterThan(0);
      expect(finding.message).not.toMatch(/[\u0000-\u001f\u202e]/);
    }
  });

  test.each([
    ['an empty file', ''],
    ['a comment', '# nothing\n'],
    ['a scalar', 'hello'],
    ['a list', '- a\n- b\n'],
    ['null', 'null'],
    ['10 MB', `a: ${'x'.repeat(10_000_000)}`],
    ['half a megabyte of brackets', '['.repeat(500_000)],
    ['half a megabyte of dashes', '- '.repeat(250_000)],
    ['half a megabyte of question marks', '? '.repeat(250_000)],
    [
      'a thousand levels of indentation',
      Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:\n`).join(''),
    ],
    ['forty thousand anchors', Array.from({ length: 40_000 }, (_, i) => `k${i}: &a${i} 1`).join('\n')],
    ['forty thousand keys', Array.from({ length: 40_000 }, (_, i) => `k${i}: 1`).join('\n')],
    [
      'ten thousand managers who do not exist',
      `people:\n${Array.from({ length: 10_000 }, (_, i) => `  p${i}: { manager: q${i} }`).join('\n')}`,
    ],
    [
      'a billion laughs',
      Array.from({ length: 12 }, (_, i) =>
        i === 0 ? 'a0: &a0 [lol]' : `a${i}: &a${i} [${`*a${i - 1},`.repeat(9)}]`,
      ).join('\n'),
    ],
    ['a cycle', 'groups: &g [*g]'],
    ['people who are a cycle', 'people: &p { ana: *p }'],
  ])('%s, soon', (_, text) => {
    const startedAt = performance.now();
    const { catalogue, findings } = parse(text);
    expect(catalogue).toBeUndefined();
    expect(findings.length).toBeGreaterThan(0);
    expect(findings.length).toBeLessThanOrEqual(101);
    expect(performance.now() - startedAt).toBeLessThan(10_000);
  });

  test.each([
    ['['.repeat(40), /nested too deep/],
    ['- '.repeat(40), /nested too deep/],
    [`a:\n${' '.repeat(90)}b:\n${' '.repeat(91)}c: 1`, /nested too deep/],
    [Array.from({ length: 201 }, (_, i) => `k${i}: &a${i} 1`).join('\n'), /anchors/],
    ['[a,]'.repeat(400_000), /too many parts/],
    [`# ${'ü'.repeat(2_500_000)}`, /larger/],
  ])('before it is composed, what the composer could not survive (%#)', (text, message) => {
    expect(parse(text).findings).toEqual([
      expect.objectContaining({ message: expect.stringMatching(message) }),
    ]);
  });

  test('an inline secret without repeating it', () => {
    const { findings } = edited('password: { file: secrets/db-replica }', 'password: hunter2');
    expect(JSON.stringify(findings)).not.toContain('hunter2');
    expect(findings[0]?.hint).toContain('file:');
    const broken = edited('password: { file: secrets/db-replica }', 'password: "hunter2\\q"');
    expect(JSON.stringify(broken.findings)).not.toContain('hunter2');
  });

  test('whatever text it is given, without throwing', () => {
    const piece = fc.constantFrom(
      ...YAML.split(/(?<=[\s:{}[\],])/),
      '&a',
      '*a',
      '"',
      '\t',
      '\\',
      '\u0000',
      '- ',
      '? ',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const { catalogue, findings } = parse(pieces.join(''));
        expect(catalogue !== undefined).toBe(findings.every(({ severity }) => severity === 'warning'));
      }),
      { numRuns: 300 },
    );
  });
});

describe('warns of', () => {
  const warnings = (text: string) =>
    parse(text).findings.map(({ severity, message }) => `${severity}: ${message}`);

  test('a chain that nobody can satisfy', () => {
    expect(warnings(YAML.replace('[carla, group:dba]', '[group:dba]').replace('[dba]', '[]'))).toEqual([
      expect.stringMatching(/^warning: nobody can approve/),
    ]);
  });

  test('a chain whose only approver cannot approve their own request', () => {
    expect(warnings(YAML.replace('[carla, group:dba]', '[carla]'))).toEqual([
      expect.stringMatching(/^warning: carla is the only approver/),
    ]);
  });

  test('a database reached in the clear, unless it is here', () => {
    const clear = YAML.replace('sslMode: verify-full', 'sslMode: disable');
    expect(warnings(clear)).toEqual([]);
    for (const host of ['db.example.com', '127.evil.example']) {
      expect(warnings(clear.replace('host: 127.0.0.1', `host: ${host}`))).toHaveLength(1);
    }
  });
});

describe('the starter catalogue', () => {
  test.each(['ana', 'Ana.Ruiz@example.com', 'true', '42', 'x/y'])(
    'loads without findings for %s',
    (admin) => {
      const { catalogue, findings } = parse(starterCatalogue({ admin, adminName: 'A: "B" #c' }));
      expect(findings).toEqual([]);
      expect(catalogue?.people.get(admin)?.groups).toEqual(expect.arrayContaining(['sre', 'oncall-admins']));
    },
  );

  test('loads without findings with its examples in force', () => {
    const text = starterCatalogue({ admin: 'ana' });
    const uncommented = text.replace(/^( *)# ( *(?:- |[a-z][A-Za-z-]*:(?: |$)).*)$/gm, '$1$2');
    const { catalogue, findings } = parse(uncommented);
    expect(findings).toEqual([]);
    for (const section of ['sources', 'bundles', 'automation', 'channels'] as const) {
      expect(catalogue?.[section].size, section).toBeGreaterThan(0);
    }
    expect([...(catalogue?.chains.keys() ?? [])]).toEqual(['leads', 'urgent']);
    expect(catalogue?.schedules.get('payments-primary')?.feeds).toHaveLength(1);
    expect(catalogue?.services.get('orders')?.bundle).toBe('orders-incident');
  });

  test.each(['', 'a b', 'a\nb', '$(x)', 'example-lead'])('is not written for %j', (admin) => {
    expect(() => starterCatalogue({ admin })).toThrow(expect.objectContaining({ code: 'usage' }));
  });
});
