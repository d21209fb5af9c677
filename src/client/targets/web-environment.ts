import type { Target } from '../../protocol/messages.ts';

/**
 * Variables of what is held for services: for one under plain names; for several each under its resource's, so that
 * `ONCALL_CERT` becomes `ONCALL_CERT_QUERY_TOOL`.
 */
export function webEnvironment<C extends { readonly target: Target }>(
  credentials: readonly C[],
  variablesOf: (credential: C) => Readonly<Record<string, string>>,
): Record<string, string> {
  const isOne = credentials.length === 1;
  const named = credentials.flatMap((credential) => {
    const suffix = isOne ? '' : `_${credential.target.resource.toUpperCase().replaceAll('-', '_')}`;
    return Object.entries(variablesOf(credential)).map(
      ([name, value]) => [`${name}${suffix}`, value] as const,
    );
  });
  return Object.fromEntries(named);
}
