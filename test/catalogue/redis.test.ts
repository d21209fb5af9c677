import { describe, expect, test } from 'vitest';
import { completeYaml } from './complete.ts';
import { edited, parse } from './edited.ts';

const RULES = '["+@read", "-keys", "~orders:*", "&news"]';

describe('a redis resource', () => {
  test('is read with its rules in the order written, and with TLS unless told otherwise', () => {
    expect(parse(completeYaml).catalogue?.resources.get('cache')).toMatchObject({
      defaultRole: 'read',
      credentialSeconds: 600,
      target: {
        kind: 'redis',
        host: 'cache.example.com',
        port: 6380,
        tls: true,
        caFile: 'redis-ca.pem',
        broker: { user: 'oncall_broker', password: { env: 'CACHE_PASSWORD' } },
        maxUsers: 200,
        roles: new Map([
          ['read', { rules: ['+@read', '-keys', '~orders:*', '&news'], description: undefined }],
          ['write', { rules: ['+@all', '-@admin', '-@dangerous', '~*'], description: 'All keys' }],
        ]),
      },
    });
  });

  test.each([
    'nopass',
    'on',
    'reset',
    '>secret',
    '#abc',
    '~a b',
    '(~*',
    '~*)',
    '(+@all ~*)',
    '+get ~*',
    '~a\\nnopass',
    '+@read\\u0000',
    'allkeys',
    '%RX~a',
    '',
  ])('is refused for the rule %j', (rule) => {
    const { findings } = edited(RULES, `["+@read", "${rule}"]`);
    expect(findings.map(({ severity }) => severity)).toContain('error');
  });

  test.each([
    '+@all',
    '+@admin',
    '+@dangerous',
    '+acl',
    '+acl|setuser',
    '+config|set',
    '+module',
    '+@scripting',
    '+replicaof',
  ])('is refused for %s, by which a login could outlive its end', (rule) => {
    const { findings } = edited(RULES, `["-@all", "${rule}", "~*"]`);
    expect(findings).toMatchObject([{ severity: 'error', message: expect.stringContaining('outlive') }]);
  });

  test('counts what is taken away after it, not before', () => {
    expect(edited(RULES, '["+@all", "-@admin", "-@dangerous", "~*"]').findings).toEqual([]);
    expect(edited(RULES, '["-@admin", "-@dangerous", "+@all", "~*"]').findings).toHaveLength(1);
    expect(edited(RULES, '["+@scripting", "-function", "~*"]').findings).toEqual([]);
  });

  test('in the clear is warned of, unless it is here', () => {
    const inTheClear = edited('port: 6380, ca: redis-ca.pem', 'tls: false');
    expect(inTheClear.findings).toMatchObject([{ severity: 'warning' }]);
    expect(edited('host: cache.example.com, port: 6380', 'host: 127.0.0.1, tls: false').findings).toEqual([]);
  });

  test('with an inline password is refused, and the password is not repeated', () => {
    const { findings } = edited('password: { env: CACHE_PASSWORD }', 'password: hunter2');
    expect(findings).toMatchObject([{ severity: 'error' }]);
    expect(JSON.stringify(findings)).not.toContain('hunter2');
  });
});
