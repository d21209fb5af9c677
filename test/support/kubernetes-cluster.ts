// The cluster that issuers are tested against: the strict fake, or the real one that ONCALL_TEST_KUBE_APISERVER names
// (`https://…`), with its CA as a PEM file in ONCALL_TEST_KUBE_CA and the token of an admin in ONCALL_TEST_KUBE_TOKEN.
import { readFileSync } from 'node:fs';
import { Agent } from 'undici';
import { parseAllDocuments } from 'yaml';
import { atEnd } from './at-end.ts';
import { type FakeKubernetes, startFakeKubernetes } from './fakes/kubernetes.ts';

export interface Cluster {
  url: string;
  ca: string;
  adminToken: string;
  /** Undefined for a real one. */
  fake: FakeKubernetes | undefined;
}

export async function startCluster(): Promise<Cluster> {
  const {
    ONCALL_TEST_KUBE_APISERVER: url,
    ONCALL_TEST_KUBE_CA: caFile,
    ONCALL_TEST_KUBE_TOKEN: adminToken,
  } = process.env;
  if (url !== undefined) {
    if (caFile === undefined || adminToken === undefined) {
      throw new Error('ONCALL_TEST_KUBE_APISERVER needs ONCALL_TEST_KUBE_CA and ONCALL_TEST_KUBE_TOKEN');
    }
    return { url: url.replace(/\/+$/, ''), ca: readFileSync(caFile, 'utf8'), adminToken, fake: undefined };
  }
  const fake = await startFakeKubernetes();
  atEnd(() => fake.close());
  return { url: fake.url, ca: fake.ca, adminToken: fake.adminToken, fake };
}

/** One call with somebody's token. */
export async function callCluster(
  { url, ca }: Pick<Cluster, 'url' | 'ca'>,
  token: string,
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
): Promise<{ status: number; body: Record<string, never> }> {
  const agent = new Agent({ connect: { ca } });
  try {
    const response = await agent.request({
      origin: url,
      path,
      method,
      headers: {
        authorization: `Bearer ${token}`,
        'user-agent': 'oncall tests',
        accept: 'application/json',
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    return { status: response.statusCode, body: text.startsWith('{') ? JSON.parse(text) : {} };
  } finally {
    await agent.destroy();
  }
}

/** `kubectl apply` of what `oncall broker target` prints, as the admin; what is there already stays as it is. */
export async function applyText(cluster: Cluster, text: string): Promise<void> {
  const yaml = text.slice(text.indexOf('\n') + 1, text.lastIndexOf('\n'));
  for (const document of parseAllDocuments(yaml)) {
    if (document.errors.length > 0) throw document.errors[0];
    await applyObject(cluster, document.toJS() as Manifest);
  }
}

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  [field: string]: unknown;
}

const PLURALS: Readonly<Record<string, string>> = {
  Namespace: 'namespaces',
  ServiceAccount: 'serviceaccounts',
  Secret: 'secrets',
  Role: 'roles',
  RoleBinding: 'rolebindings',
  ClusterRole: 'clusterroles',
  ClusterRoleBinding: 'clusterrolebindings',
};

export function pathOfKind({ apiVersion, kind, metadata: { namespace } }: Manifest): string {
  const root = apiVersion === 'v1' ? '/api/v1' : `/apis/${apiVersion}`;
  return `${root}${namespace === undefined ? '' : `/namespaces/${namespace}`}/${PLURALS[kind]}`;
}

export async function applyObject(cluster: Cluster, manifest: Manifest): Promise<void> {
  const path = pathOfKind(manifest);
  const { status, body } = await callCluster(cluster, cluster.adminToken, 'POST', path, manifest);
  if (status !== 201 && status !== 409) throw new Error(`${path}: ${status} ${JSON.stringify(body)}`);
  // A real cluster is kept clean; namespaces take what is in them along.
  if (status === 201 && cluster.fake === undefined && manifest.metadata.namespace === undefined) {
    atEnd(async () => {
      await callCluster(cluster, cluster.adminToken, 'DELETE', `${path}/${manifest.metadata.name}`);
    });
  }
}
