/** `oncall broker host`: which hosts may report who logs in there. */
import { userInfo } from 'node:os';
import { AppError } from '../protocol/errors.ts';
import { formatInstant } from '../protocol/time.ts';
import type { HostRow } from '../store/rows.ts';
import { type Actor, createAuditLog } from './audit-log.ts';
import { type Host, type Result, withStore } from './host.ts';
import { createHosts } from './hosts.ts';
import { requireRules } from './installation.ts';
import { loadBrokerKeys } from './keys.ts';

interface Named {
  directory: string;
  resource: string;
  name: string;
}

export async function brokerHostAdd(options: Named & { publicKey: string }, host: Host): Promise<Result> {
  return withStore(options.directory, host, async (store, config) => {
    const { catalogue } = await requireRules(config);
    const resource = catalogue.resources.get(options.resource);
    if (resource === undefined) {
      throw new AppError('not_found', `there is no resource '${options.resource}'`, {
        hint: `resources: ${[...catalogue.resources.keys()].join(', ')}`,
      });
    }
    const hosts = createHosts(
      createAuditLog(store, await loadBrokerKeys(config.keysDirectory), config.origin),
    );
    const row = await store.write((tx) => hosts.add(tx, operator(), options));
    // Where the catalogue names them, what is reported under another name is nobody's.
    const names = resource.target.kind === 'ssh' ? resource.target.hosts.map(({ name }) => name) : [];
    const isNamed = names.length === 0 || names.includes(options.name);
    return {
      data: viewHost(row),
      lines: [
        [{ text: 'added', style: 'green' }, ` ${row.id}`],
        ...(isNamed
          ? []
          : [`the catalogue calls the hosts of ${resource.id} ${names.join(', ')}: use one of these`]),
        'on the host: systemctl enable --now oncall-host, then oncall host status',
      ],
    };
  });
}

export async function brokerHostRemove(options: Named, host: Host): Promise<Result> {
  return withStore(options.directory, host, async (store, config) => {
    const hosts = createHosts(
      createAuditLog(store, await loadBrokerKeys(config.keysDirectory), config.origin),
    );
    const row = await store.write((tx) => hosts.remove(tx, operator(), options));
    return { data: viewHost(row), lines: [`removed ${row.id}: what it reports is refused from now on`] };
  });
}

export async function brokerHostList({ directory }: { directory: string }, host: Host): Promise<Result> {
  return withStore(directory, host, async (store) => {
    const rows = (await store.read((tx) => tx.hosts())).filter(({ state }) => state === 'active');
    return {
      data: { hosts: rows.map(viewHost) },
      lines:
        rows.length === 0
          ? ['no host reports to this broker; oncall broker target RESOURCE says how one does']
          : rows.map(({ id, lastSeenAt }) => [
              { text: id, style: 'bold' as const },
              `  ${lastSeenAt === null ? 'never heard of' : `heard of at ${formatInstant(lastSeenAt)}`}`,
            ]),
    };
  });
}

function operator(): Actor {
  return { kind: 'operator', id: userInfo().username };
}

function viewHost({ id, resource, publicKey, state, addedAt, lastSeenAt }: HostRow) {
  return {
    id,
    resource,
    key: publicKey,
    state,
    addedAt: formatInstant(addedAt),
    lastSeenAt: lastSeenAt === null ? null : formatInstant(lastSeenAt),
  };
}
