/**
 * The kubeconfig that plain kubectl reads after `oncall setup kubectl`: the clusters that are open now, and of those that were
 * before, contexts that lead nowhere. Each user is a credential plugin (client-go), which renews what is due, or fails and says
 * how to get access: kubectl asks it before it connects to anything.
 */
import { formatTarget } from '../../protocol/names.ts';
import type { ClientPaths } from '../paths.ts';
import type { KnownTarget } from './client-target.ts';
import { EXEC_VERSIONS, type ExecVersion } from './exec-credential.ts';
import { contextOf, formatKubeconfig, type Kubeconfig, ownName, parseKubeconfig } from './kubeconfig.ts';

/** By the version of the plugin's answer that is asked for: kubectl before 1.22 refuses a file that asks for the newer one. */
export const KUBECTL_FILES: Readonly<Record<ExecVersion, string>> = {
  [EXEC_VERSIONS[0]]: 'kubeconfig',
  [EXEC_VERSIONS[1]]: 'kubeconfig.v1beta1',
};

/** Nothing answers there, and no name below `.invalid` is ever looked up further (RFC 6761). */
const NOWHERE = 'https://no-access.invalid';

export function kubectlFiles(
  { profile }: ClientPaths,
  open: string,
  known: readonly KnownTarget[],
): Record<string, string> {
  const { clusters, contexts } = parseKubeconfig(open)[0] ?? { clusters: [], contexts: [] };
  const closed = namesOf(known).filter((name) => !contexts.some((context) => context.name === name));
  // Users are named for contexts: one alone, without a role, asks for whatever is held on the resource.
  const names = [...new Set([...contexts.map(({ context }) => targetOf(context.user)), ...closed])];
  const config = (version: ExecVersion): Kubeconfig => ({
    clusters: [...clusters, ...closed.map((name) => ({ name: ownName(name), cluster: { server: NOWHERE } }))],
    users: names.map((name) => ({ name: ownName(name), user: { exec: plugin(name, profile, version) } })),
    contexts: [
      ...contexts,
      ...closed.map((name) => ({ name, context: contextOf(ownName(name), ownName(name)) })),
    ],
  });
  const texts = EXEC_VERSIONS.map((version) => [KUBECTL_FILES[version], formatKubeconfig(config(version))]);
  return Object.fromEntries(texts);
}

function namesOf(known: readonly KnownTarget[]): string[] {
  return [...new Set(known.flatMap((target) => [target.resource, formatTarget(target)]))];
}

function targetOf(user: string): string {
  return user.slice(ownName('').length);
}

function plugin(target: string, profile: string, apiVersion: ExecVersion) {
  return {
    apiVersion,
    command: 'oncall',
    args: [
      'credential',
      target,
      '--format',
      'kubectl',
      ...(profile === 'default' ? [] : ['--profile', profile]),
    ],
    installHint: 'oncall gives access to this cluster: npm install --global --ignore-scripts oncall',
    interactiveMode: 'Never',
    provideClusterInfo: false,
  };
}
