/** Names out of the broker's own lists, for completion: apart from those of the status file, which every command may write. */
import type { BundleView, IncidentView, RequestView, ResourceView } from '../protocol/messages.ts';
import { formatTarget } from '../protocol/names.ts';
import { type Names, targetsText } from './completion-names.ts';

/** What can be asked for. An older broker has no bundles. */
export function catalogueNames({
  resources,
  bundles = [],
}: {
  readonly resources: readonly ResourceView[];
  readonly bundles?: readonly BundleView[];
}) {
  const services = new Map(resources.map(({ service }) => [service, { name: service }]));
  return {
    resources: resources.map((resource) => ({ name: resource.name, description: wordsOf(resource) })),
    roles: resources.flatMap((resource) =>
      resource.roles.map((role) => ({
        name: formatTarget({ resource: resource.name, role }),
        description: wordsOf(resource),
      })),
    ),
    bundles: bundles.map(({ name, description, targets }) => ({
      name,
      description: description || targetsText(targets),
    })),
    services: [...services.values()],
  } satisfies Names;
}

export function incidentNames(
  incidents: readonly Pick<IncidentView, 'id' | 'priority' | 'service' | 'title'>[],
) {
  const rows = incidents.map(({ id, priority, service, title }) => ({
    name: id,
    description: `${priority} ${service}: ${title}`,
  }));
  return { incidents: rows } satisfies Names;
}

/** What waits for this person's answer. */
export function approvalNames(requests: readonly RequestView[]) {
  const rows = requests.map(({ id, user, targets, incident, expiresAt }) => ({
    name: id,
    description: `${user}: ${[targetsText(targets.map(({ target }) => target)), incident].filter(Boolean).join(' ')}`,
    endsAt: expiresAt,
  }));
  return { approvals: rows } satisfies Names;
}

function wordsOf({ description, kind, environment }: ResourceView): string {
  return description || `${kind} ${environment}`;
}
