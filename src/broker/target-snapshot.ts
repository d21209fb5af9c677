import type { Resource } from '../catalogue/types.ts';
import type { Json } from '../protocol/canonical-json.ts';

/**
 * A resource as it was when a credential was issued, kept with the credential: the login can be ended, and its end proven,
 * after the resource has changed or left the catalogue. Secrets are references, so none is copied.
 */
export function snapshotOf(resource: Resource): Json {
  const { target } = resource;
  const roles = Object.fromEntries<unknown>(target.roles);
  return JSON.parse(JSON.stringify({ ...resource, target: { ...target, roles } })) as Json;
}

export function resourceOf(snapshot: Json): Resource {
  const resource = structuredClone(snapshot) as unknown as Resource;
  const roles = new Map(Object.entries(resource.target.roles as unknown as Record<string, never>));
  return { ...resource, target: { ...resource.target, roles } as Resource['target'] };
}
