import { describe, expect, test } from 'vitest';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import type { Resource } from '../../src/catalogue/types.ts';
import { PEOPLE } from '../support/installation.ts';

function read(target: string): { resource: Resource | undefined; errors: string[] } {
  const text = `${PEOPLE}
resources:
  tool:
    service: orders
    environment: production
    sensitivity: medium
${target.replace(/^/gm, '    ')}
`;
  const { catalogue, findings } = parseCatalogue(text, 'catalogue.yaml', '/nowhere');
  return {
    resource: catalogue?.resources.get('tool'),
    errors: findings.filter(({ severity }) => severity === 'error').map(({ message }) => message),
  };
}

describe('a service that wants client certificates', () => {
  const x509 = (more: string, roles = 'roles: { read: {} }') =>
    read(`type: x509\nurl: https://tool.example:8443\n${more}\n${roles}`);

  test('has an address, servers behind it, and a unit for each role', () => {
    const { resource, errors } = x509(
      'servers: ["10.0.0.5:8443", "[fd00::1]:8443"]\nca: tool-ca.pem',
      'roles: { read: {}, write: { ou: "Tool Admins: write", description: all } }',
    );
    expect(errors).toEqual([]);
    expect(resource).toMatchObject({ credentialSeconds: 300, defaultRole: 'read' });
    expect(resource?.target).toEqual({
      kind: 'x509',
      url: 'https://tool.example:8443/',
      servers: ['10.0.0.5:8443', '[fd00::1]:8443'],
      caFile: 'tool-ca.pem',
      roles: new Map([
        ['read', { unit: 'tool/read', description: undefined }],
        ['write', { unit: 'Tool Admins: write', description: 'all' }],
      ]),
    });
  });

  test.each([
    ['an address in the clear', 'type: x509\nurl: http://tool.example\nroles: { read: {} }'],
    ['an address with a query', 'type: x509\nurl: https://tool.example/?a\nroles: { read: {} }'],
    ['no address', 'type: x509\nroles: { read: {} }'],
    ['a server without a port', 'type: x509\nurl: https://t.example\nservers: [t1]\nroles: { read: {} }'],
    ['a server that is none', 'type: x509\nurl: https://t.example\nservers: ["a b:1"]\nroles: { read: {} }'],
    ['a port that is none', 'type: x509\nurl: https://t.example\nservers: ["a:70000"]\nroles: { read: {} }'],
    ['a unit that breaks out', 'type: x509\nurl: https://t.example\nroles: { read: { ou: "x,CN=root" } }'],
    ['a unit with a quote', `type: x509\nurl: https://t.example\nroles: { read: { ou: 'x"; y' } }`],
    ['a long unit', `type: x509\nurl: https://t.example\nroles: { read: { ou: ${'x'.repeat(65)} } }`],
    ['one unit twice', 'type: x509\nurl: https://t.example\nroles: { a: { ou: x }, b: { ou: x } }'],
    ['a long life', 'type: x509\nurl: https://t.example\ncredential: 16m\nroles: { read: {} }'],
    ['no role', 'type: x509\nurl: https://t.example'],
  ])('is refused with %s', (_what, target) => {
    expect(read(target).errors).toHaveLength(1);
  });
});

describe('a tool that wants tokens', () => {
  test('has an address, and an audience that is the address unless it says otherwise', () => {
    const { resource, errors } = read(
      'type: http\nurl: https://tool.example\nroles: { read: {}, write: {} }',
    );
    expect(errors).toEqual([]);
    expect(resource).toMatchObject({ credentialSeconds: 300, defaultRole: 'read' });
    const target = { kind: 'http', url: 'https://tool.example/', audience: 'https://tool.example/' };
    expect(resource?.target).toMatchObject({ ...target, caFile: undefined });
    const named = read(
      'type: http\nurl: http://localhost:3000/x\naudience: grafana\nca: ca.pem\nroles: { read: {} }',
    );
    expect(named.resource?.target).toMatchObject({ audience: 'grafana', caFile: 'ca.pem' });
  });

  test.each([
    ['an address in the clear', 'type: http\nurl: http://tool.example\nroles: { read: {} }'],
    ['an address with a secret', 'type: http\nurl: https://a:b@tool.example\nroles: { read: {} }'],
    ['no address', 'type: http\nroles: { read: {} }'],
    ['an audience of words', 'type: http\nurl: https://t.example\naudience: a b\nroles: { read: {} }'],
    ['a long life', 'type: http\nurl: https://t.example\ncredential: 16m\nroles: { read: {} }'],
    ['no role', 'type: http\nurl: https://t.example'],
    ['a setting of another kind', 'type: http\nurl: https://t.example\nservers: []\nroles: { read: {} }'],
  ])('is refused with %s', (_what, target) => {
    expect(read(target).errors).toHaveLength(1);
  });
});
