// A cluster brought in the way the product tells its admin to: by the guide's own YAML.
import { randomBytes, randomUUID } from 'node:crypto';
import type { KubernetesSettings, Resource } from '../../src/catalogue/types.ts';
import type { Issued } from '../../src/issuers/issuer.ts';
import { createKubernetesIssuer } from '../../src/issuers/kubernetes.ts';
import { atEnd } from '../support/at-end.ts';
import type { FakeKubernetes } from '../support/fakes/kubernetes.ts';
import {
  applyObject,
  applyText,
  type Cluster,
  callCluster,
  startCluster,
} from '../support/kubernetes-cluster.ts';
import { waitFor } from '../support/temp.ts';
import type { Device, World } from './contract.ts';

export interface KubernetesWorld extends World {
  cluster: Cluster;
  /** Throws where the cluster is a real one. */
  fake(): FakeKubernetes;
  settings: KubernetesSettings;
  createDevice(): KubernetesDevice;
  /** The broker's; changed by who wants to see what becomes of another. */
  broker: { token: string };
}

export interface KubernetesDevice extends Device {
  seal(secret: Uint8Array): Promise<string>;
  /** What was sealed to this device. */
  tokenOf(issued: Issued): string;
}

export async function startKubernetesWorld(
  change: Partial<KubernetesSettings> = {},
  own?: Cluster,
): Promise<KubernetesWorld> {
  const cluster = own ?? (await startCluster());
  // Others may use a real cluster at the same time.
  const id = cluster.fake === undefined ? `-${randomBytes(4).toString('hex')}` : '';
  const namespace = `orders${id}`;
  const settings: KubernetesSettings = {
    kind: 'kubernetes',
    server: cluster.url,
    caFile: 'ca.pem',
    broker: { token: { env: 'BROKER_TOKEN' } },
    accounts: `oncall${id}`,
    roles: new Map([
      ['read', { kind: 'ClusterRole', name: 'view', namespace, description: undefined }],
      ['restart', { kind: 'Role', name: 'restarter', namespace, description: undefined }],
      [
        'nodes',
        { kind: 'ClusterRole', name: `node-reader${id}`, namespace: undefined, description: undefined },
      ],
    ]),
    ...change,
  };
  const resource = resourceWith(settings);
  const broker = { token: '' };
  const createIssuer = (installation: string) => {
    const made = createKubernetesIssuer({
      installation,
      resolveSecret: async () => broker.token,
      readCa: async () => cluster.ca,
    });
    atEnd(() => made.close());
    return made;
  };
  const issuer = createIssuer('oncall.example.com/oncall+00000000');
  const rbac = 'rbac.authorization.k8s.io/v1';
  const rules = (resources: string[]) => [{ apiGroups: [''], resources, verbs: ['get', 'list'] }];
  await applyObject(cluster, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  await applyObject(cluster, {
    apiVersion: rbac,
    kind: 'Role',
    metadata: { name: 'restarter', namespace },
    rules: rules(['pods']),
  });
  await applyObject(cluster, {
    apiVersion: rbac,
    kind: 'ClusterRole',
    metadata: { name: `node-reader${id}` },
    rules: rules(['pods', 'nodes']),
  });
  for (const { text } of issuer.guide(resource).steps.slice(0, 2)) await applyText(cluster, text);
  broker.token = await brokerToken(cluster, `${settings.accounts}-broker`);

  return {
    issuer,
    neighbour: createIssuer('oncall.example.com/oncall+00000001'),
    resource,
    role: 'read',
    createDevice: () => createDevice(cluster, namespace),
    cluster,
    fake() {
      if (cluster.fake === undefined) throw new Error('not with a real cluster');
      return cluster.fake;
    },
    settings,
    broker,
  };
}

/** As the guide's third step reads it. */
export async function brokerToken(cluster: Cluster, name: string): Promise<string> {
  let token = '';
  await waitFor(
    async () => {
      const path = `/api/v1/namespaces/${name}/secrets/${name}`;
      const { body } = await callCluster(cluster, cluster.adminToken, 'GET', path);
      const { data = {} } = body as { data?: { token?: string } };
      token = Buffer.from(data.token ?? '', 'base64').toString();
      return token !== '';
    },
    { what: "the broker's token" },
  );
  return token;
}

function createDevice(cluster: Cluster, namespace: string): KubernetesDevice {
  const opened = new Map<string, string>();
  const device: KubernetesDevice = {
    material: { kind: 'kubernetes' },
    async seal(secret) {
      const sealed = randomUUID();
      opened.set(sealed, Buffer.from(secret).toString());
      return sealed;
    },
    tokenOf({ publicPart }) {
      if (publicPart.kind !== 'kubernetes') throw new Error('not a kubernetes login');
      return opened.get(publicPart.sealedToken) ?? 'sealed to another device';
    },
    async login(issued) {
      const path = `/api/v1/namespaces/${namespace}/pods`;
      const look = async () => (await callCluster(cluster, device.tokenOf(issued), 'GET', path)).status;
      // A real API server learns of a new binding a moment later.
      const tries = cluster.fake === undefined ? 10 : 1;
      for (let left = tries; left > 0; left--) {
        if ((await look()) === 200) return true;
        if (left > 1) await new Promise((resolve) => setTimeout(resolve, 100));
      }
      return false;
    },
  };
  return device;
}

export function resourceWith(target: KubernetesSettings): Resource {
  return {
    id: 'prod',
    description: undefined,
    service: 'orders',
    environment: 'production',
    sensitivity: 'high',
    defaultRole: 'read',
    roles: [...target.roles.keys()],
    session: { defaultSeconds: 7200, maxSeconds: 14_400, maxExtensions: 2 },
    credentialSeconds: 600,
    phase: 1,
    breakGlass: undefined,
    canary: false,
    target,
  };
}
