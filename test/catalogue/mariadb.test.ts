import { describe, expect, test } from 'vitest';
import { completeYaml } from './complete.ts';
import { edited, parse } from './edited.ts';

const CONNECTION = 'connection: { host: shop.example.com, port: 3307, database: shop, ca: shop-ca.pem }';

describe('a mariadb resource', () => {
  test('is read, and verifies the server unless told otherwise', () => {
    expect(parse(completeYaml).catalogue?.resources.get('shop-db')).toMatchObject({
      defaultRole: 'read',
      credentialSeconds: 600,
      target: {
        kind: 'mariadb',
        host: 'shop.example.com',
        port: 3307,
        database: 'shop',
        sslMode: 'verify-full',
        caFile: 'shop-ca.pem',
        broker: { user: 'oncall_broker', password: { file: 'secrets/shop-db' } },
        maxAccounts: 40,
        roles: new Map([
          ['read', { grant: 'shop_readers', description: undefined }],
          ['write', { grant: 'shop_writers', description: 'All tables' }],
        ]),
      },
    });
  });

  test.each([
    ['a role that is SQL', 'grant: shop_readers', 'grant: "x`; DROP USER root"'],
    ['a role that everybody has', 'grant: shop_readers', 'grant: public'],
    ['the owner of the procedures as a role', 'grant: shop_readers', 'grant: oncall_owner'],
    ['the broker as a role', 'grant: shop_readers', 'grant: oncall_broker'],
    ['root as the broker', 'user: oncall_broker, password: { file: secrets/shop-db }', 'user: root'],
    ['an inline password', 'password: { file: secrets/shop-db }', 'password: hunter2'],
    ['an address that no certificate is checked for', 'host: shop.example.com', 'host: 10.0.0.5'],
    ['a host that is an option', 'host: shop.example.com', 'host: "-x"'],
    ['a database that is SQL', 'database: shop', 'database: "a;b"'],
    ['a limit of nothing', 'maxAccounts: 40', 'maxAccounts: 0'],
    ['a misspelled key', 'maxAccounts: 40', 'maxAccount: 40'],
  ])('is refused for %s', (_, from, to) => {
    const { findings } = edited(from, to);
    expect(findings.map(({ severity }) => severity)).toContain('error');
    expect(JSON.stringify(findings)).not.toContain('hunter2');
  });

  test('in the clear is warned of, unless it is here', () => {
    const remote = 'connection: { host: shop.example.com, database: shop, sslMode: disable }';
    expect(edited(CONNECTION, remote).findings).toMatchObject([{ severity: 'warning' }]);
    const here = 'connection: { host: 127.0.0.1, database: shop, sslMode: disable }';
    expect(edited(CONNECTION, here).findings).toEqual([]);
  });
});
