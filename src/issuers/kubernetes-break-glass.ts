/**
 * Break-glass at clusters: a client certificate, whose common name is a user with one binding a role. What is said plainly to the
 * admin: an API server holds a client CA to no names (whoever has its key is anybody), and reads no list of revocations.
 */
import { generateKeyPairSync } from 'node:crypto';
import { Agent } from 'undici';
import type { KubernetesRole, Resource } from '../catalogue/types.ts';
import { breakGlassName } from '../protocol/break-glass-names.ts';
import { AppError } from '../protocol/errors.ts';
import { escapeForTerminal } from '../protocol/names.ts';
import type { BreakGlassCas, BreakGlassIssuer } from './break-glass.ts';
import { createNamedLogin, type NamedLogin } from './break-glass-check.ts';
import { writeFile } from './guide-text.ts';
import type { Requirement } from './issuer.ts';
import { kubernetesSettings } from './kubernetes-api.ts';
import { apply, manifest, RBAC } from './kubernetes-guide.ts';
import { fulfilled, missing, reasonOf } from './requirement.ts';
import { createX509Ca, type X509Ca } from './x509-ca.ts';
import { x509Slots } from './x509-slots.ts';

export interface KubernetesBreakGlassOptions {
  cas: BreakGlassCas;
  /** The one behind usual logins, which must not get in here. */
  x509Ca: X509Ca;
  /** PEM text of a CA file named in the catalogue. */
  readCa: (file: string) => Promise<string>;
  /** For `check`. Milliseconds since 1970. */
  now: () => number;
}

const PKI = '/etc/kubernetes/pki';
const CONNECT_MS = 5_000;
const REVIEW_PATH = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const UNHELD =
  'a cluster holds this CA to no names and reads no list of revocations: whoever has its key is anybody there, and what was revoked works until it expires, within the hour';

export function createKubernetesBreakGlass(options: KubernetesBreakGlassOptions): BreakGlassIssuer {
  return {
    kind: 'kubernetes',
    ...x509Slots(options.cas),
    async placeOf(resource, role) {
      const { server, caFile } = kubernetesSettings(resource);
      const { namespace } = roleOf(resource, role);
      return {
        ...{ kind: 'kubernetes', server },
        ...(caFile !== undefined && { caPem: await options.readCa(caFile) }),
        ...(namespace !== undefined && { namespace }),
      };
    },
    steps: (resource) => [
      {
        title: 'break-glass: the API server takes certificates of its CA, which it cannot hold to names',
        where: 'a root shell on each control-plane node',
        text: [
          `# ${UNHELD}.`,
          '# Where that is too much, or the cluster is a managed one that takes no CA of yours: breakGlass: { offline: false }',
          writeFile(`${PKI}/oncall-break-glass.crt`, options.cas.x509.certificatePem),
          `cat ${PKI}/ca.crt ${PKI}/oncall-break-glass.crt > ${PKI}/client-ca.crt`,
          `# in the API server's manifest: --client-ca-file=${PKI}/client-ca.crt   # in place of ca.crt`,
        ].join('\n'),
      },
      {
        title: 'break-glass: a user for each role, with one binding',
        where: 'kubectl, as an admin of the cluster',
        text: apply(
          (resource.breakGlass?.roles ?? []).map((role) =>
            bindingOf(breakGlassName({ resource: resource.id, role }), roleOf(resource, role)),
          ),
        ),
      },
    ],
    check: (resource, signal) => checkBreakGlass(resource, signal, options),
  };
}

function roleOf(resource: Resource, name: string): KubernetesRole {
  const role = kubernetesSettings(resource).roles.get(name);
  if (!role) throw new AppError('target_refused', `${resource.id} has no role ${name}`);
  return role;
}

function bindingOf(user: string, { kind, name, namespace }: KubernetesRole): string {
  const metadata = { name: user, ...(namespace !== undefined && { namespace }) };
  return manifest(`${RBAC}/v1`, namespace === undefined ? 'ClusterRoleBinding' : 'RoleBinding', metadata, {
    roleRef: { apiGroup: RBAC, kind, name },
    subjects: [{ kind: 'User', apiGroup: RBAC, name: user }],
  });
}

async function checkBreakGlass(
  resource: Resource,
  signal: AbortSignal,
  options: KubernetesBreakGlassOptions,
): Promise<readonly Requirement[]> {
  const { cas, x509Ca, now } = options;
  const guide = `oncall broker target ${resource.id}   # its steps for break-glass`;
  const unknownCa = await createX509Ca(generateKeyPairSync('ed25519').privateKey, 'https://localhost/');
  const found: Requirement[] = [];
  for (const role of resource.breakGlass?.roles ?? []) {
    const name = breakGlassName({ resource: resource.id, role });
    const login = (ca: X509Ca) => createNamedLogin(ca, { name }, now());
    const title = `break-glass as ${role}`;
    const own = await whoAmI(resource, options, await login(cas.x509), signal);
    found.push(
      own.user === name && own.groups.every((group) => group === 'system:authenticated')
        ? fulfilled(title, `let in as ${name}`)
        : missing(title, own.detail, guide),
    );
    for (const [what, ca] of [
      ['the usual CA', x509Ca],
      ['another CA', unknownCa],
    ] as const) {
      const { user, detail } = await whoAmI(resource, options, await login(ca), signal);
      const test = `${name} by ${what} is refused`;
      found.push(user === name ? missing(test, detail, guide) : fulfilled(test, detail));
    }
  }
  return [...found, fulfilled('break-glass CA, not held to names', UNHELD)];
}

/** SelfSubjectReview (Kubernetes 1.28 and newer): who the API server takes this certificate for. Never throws. */
async function whoAmI(
  resource: Resource,
  { readCa }: KubernetesBreakGlassOptions,
  { certificate, key }: NamedLogin,
  signal: AbortSignal,
): Promise<{ user: string | undefined; groups: readonly string[]; detail: string }> {
  const { server, caFile } = kubernetesSettings(resource);
  const ca = caFile === undefined ? undefined : await readCa(caFile);
  const agent = new Agent({
    connect: { timeout: CONNECT_MS, cert: certificate, key, ...(ca !== undefined && { ca }) },
    headersTimeout: CONNECT_MS,
    bodyTimeout: CONNECT_MS,
    maxResponseSize: 100_000,
  });
  try {
    const url = new URL(`${server}${REVIEW_PATH}`);
    const response = await agent.request({
      origin: url.origin,
      path: url.pathname,
      method: 'POST',
      headers: { 'content-type': 'application/json', 'user-agent': 'oncall-broker' },
      body: JSON.stringify({ apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' }),
      signal,
    });
    const text = await response.body.text();
    const detail = `answered ${response.statusCode}`;
    if (response.statusCode !== 201) return { user: undefined, groups: [], detail };
    const { status } = JSON.parse(text) as {
      status?: { userInfo?: { username?: unknown; groups?: unknown } };
    };
    const { username, groups } = status?.userInfo ?? {};
    return {
      user: typeof username === 'string' ? username : undefined,
      groups: Array.isArray(groups) ? groups.map(String) : [],
      detail: `${detail}: ${escapeForTerminal(String(username)).slice(0, 100)}`,
    };
  } catch (error) {
    return { user: undefined, groups: [], detail: reasonOf(error) };
  } finally {
    await agent.destroy();
  }
}
