import { describe, expect, test } from 'vitest';
import { parseCatalogue } from '../../src/catalogue/parse.ts';
import { completeYaml } from './complete.ts';

const RESOURCE = `
  prod:
    type: kubernetes
    service: orders
    environment: production
    sensitivity: high
    connection: { server: "https://kube.example:6443/", ca: kube-ca.pem }
    broker: { token: { file: secrets/prod } }
    roles:
      read: { clusterRole: view, namespace: orders }
      restart: { role: restarter, namespace: orders }
      nodes: { clusterRole: node-reader }
`;
const withResource = (text: string) => completeYaml.replace('\napprovals:', `${text}\napprovals:`);

function read(text: string) {
  return parseCatalogue(withResource(text), 'catalogue.yaml', '/etc/oncall');
}

describe('a kubernetes resource', () => {
  test('is read, with its defaults', () => {
    const { catalogue, findings } = read(RESOURCE);
    expect(findings).toEqual([]);
    const resource = catalogue?.resources.get('prod');
    expect(resource).toMatchObject({
      credentialSeconds: 600,
      roles: ['read', 'restart', 'nodes'],
      target: {
        kind: 'kubernetes',
        server: 'https://kube.example:6443',
        caFile: 'kube-ca.pem',
        accounts: 'oncall',
        broker: { token: { file: 'secrets/prod' } },
      },
    });
    expect(resource?.target.kind === 'kubernetes' && Object.fromEntries(resource.target.roles)).toMatchObject(
      {
        read: { kind: 'ClusterRole', name: 'view', namespace: 'orders' },
        restart: { kind: 'Role', name: 'restarter', namespace: 'orders' },
        nodes: { kind: 'ClusterRole', name: 'node-reader', namespace: undefined },
      },
    );
  });

  test.each([
    ['a server in the clear', 'https://kube', 'http://kube'],
    ['a server with a user', 'https://kube', 'https://me:secret@kube'],
    ['a server with a query', '6443/', '6443/?x=1'],
    ['a token that is written down', '{ file: secrets/prod }', 'abcdef'],
    ['no token', 'token: { file: secrets/prod }', ''],
    ['system:masters', 'clusterRole: view', 'clusterRole: "system:masters"'],
    ['a role of the cluster itself', 'clusterRole: view', 'clusterRole: "system:node"'],
    ['cluster-admin', 'clusterRole: node-reader', 'clusterRole: cluster-admin'],
    ['cluster-admin in a namespace', 'clusterRole: view', 'clusterRole: cluster-admin'],
    ['two roles in one', 'role: restarter', 'role: restarter, clusterRole: view'],
    ['no role in one', 'clusterRole: node-reader', ''],
    ['a role of no namespace', 'role: restarter, namespace: orders', 'role: restarter'],
    ['a role with a slash', 'clusterRole: view', 'clusterRole: a/b'],
    [
      'a namespace that is no name',
      'clusterRole: view, namespace: orders',
      'clusterRole: view, namespace: "A b"',
    ],
    [
      'a role among the accounts of logins',
      'clusterRole: view, namespace: orders',
      'clusterRole: view, namespace: oncall',
    ],
    [
      "a role beside the broker's account",
      'role: restarter, namespace: orders',
      'role: restarter, namespace: oncall-broker',
    ],
    ['a namespace of accounts that is no name', 'roles:', 'accounts: Oncall_1\n    roles:'],
    ['a shorter life than the API server gives', 'roles:', 'credential: 9m\n    roles:'],
    ['a life of hours', 'roles:', 'credential: 61m\n    roles:'],
  ])('is refused with %s', (_, from, to) => {
    const text = RESOURCE.replace(from, to);
    expect(text).not.toBe(RESOURCE);
    const { findings } = read(text);
    expect(findings.filter(({ severity }) => severity === 'error')).toHaveLength(1);
  });
});
