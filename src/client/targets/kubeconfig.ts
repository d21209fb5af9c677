/**
 * Kubeconfig files, which we write as JSON: that is YAML too, so nothing in a value can break out of it, and kubectl reads
 * both. Shape: client-go, `k8s.io/client-go/tools/clientcmd/api/v1`. What is ours in them is named `oncall/…`, so that it
 * never meets what people have in theirs; contexts are named as people type targets.
 */
export interface Kubeconfig {
  readonly clusters: readonly Named<'cluster', Readonly<Record<string, string>>>[];
  readonly users: readonly Named<'user', object>[];
  readonly contexts: readonly Named<'context', Context>[];
  readonly 'current-context'?: string;
}

type Named<Key extends string, Value> = { readonly name: string } & { readonly [K in Key]: Value };

export interface Context {
  readonly cluster: string;
  readonly user: string;
  readonly namespace?: string;
}

/** The name of a cluster or a user, by the target that it is for. */
export function ownName(target: string): string {
  return `oncall/${target}`;
}

export function contextOf(cluster: string, user: string, namespace?: string): Context {
  return { cluster, user, ...(namespace !== undefined && { namespace }) };
}

export function formatKubeconfig(config: Kubeconfig): string {
  return `${JSON.stringify({ apiVersion: 'v1', kind: 'Config', preferences: {}, ...config }, null, 2)}\n`;
}

/**
 * What is open now, of several files of ours, newest first: clusters, and contexts, the first of each name. No users: who
 * logs in is asked for at each call. Empty where nothing is open.
 */
export function mergeOpen(texts: readonly string[]): string {
  const configs = texts.flatMap(parseKubeconfig);
  if (configs.length === 0) return '';
  return formatKubeconfig({
    clusters: firstOfEach(configs.flatMap(({ clusters }) => clusters)),
    users: [],
    contexts: firstOfEach(configs.flatMap(({ contexts }) => contexts)),
  });
}

/** None where it is damaged: it is written anew with the next credential. */
export function parseKubeconfig(text: string): Kubeconfig[] {
  try {
    const { clusters, users, contexts } = JSON.parse(text) as Kubeconfig;
    return [clusters, users, contexts].every(Array.isArray) ? [{ clusters, users, contexts }] : [];
  } catch {
    return [];
  }
}

function firstOfEach<T extends { readonly name: string }>(entries: readonly T[]): T[] {
  return entries.filter(({ name }, index) => entries.findIndex((other) => other.name === name) === index);
}
