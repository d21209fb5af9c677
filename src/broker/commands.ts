/** What `oncall broker …` does, by file access on the broker's host. The command line parses and renders; this works. */
import { copyFile, readFile, rename } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import type { Finding } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import type { Store } from '../store/store.ts';
import { createAuditLog } from './audit-log.ts';
import { startBroker } from './broker.ts';
import type { BrokerConfig } from './config.ts';
import { createDevices } from './devices.ts';
import { createEndings } from './endings.ts';
import { initDirectory, writeTls } from './init.ts';
import { createSecretReader, formatFinding, loadConfig, loadRules, requireRules } from './installation.ts';
import { createBrokerIssuers } from './issuers.ts';
import { loadBrokerKeys } from './keys.ts';
import { lockDirectory } from './lock.ts';
import { openStore } from './stores.ts';

declare const ONCALL_VERSION: string;

interface Host {
  out(text: string): void;
  err(text: string): void;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly now: () => number;
  readonly signal: AbortSignal;
  onReload(listener: () => void): void;
}

type Piece =
  | string
  | { readonly text: string; readonly style: 'bold' | 'dim' | 'red' | 'green' | 'yellow' | 'cyan' };

/** What a command found: as data, as lines for people, and whether it shall end with an error after all was shown. */
export interface Result {
  data: object;
  lines: readonly (Piece | readonly Piece[])[];
  failure?: AppError | undefined;
}

const INVITE_SECONDS = 24 * 3600;

export async function brokerInit(
  options: {
    directory: string;
    admin: string | undefined;
    publicUrl: string | undefined;
    listen: string | undefined;
  },
  host: Host,
): Promise<Result> {
  const { directory } = options;
  const listen = options.listen ?? '127.0.0.1:7443';
  const publicUrl = options.publicUrl ?? `https://localhost:${listen.split(':').at(-1)}`;
  const admin = options.admin ?? userInfo().username;
  const config = await initDirectory({ directory, admin, publicUrl, listen }, host.now());
  const store = await openStore(config, createSecretReader(directory, host.env), host.now);
  try {
    await store.migrate();
  } finally {
    await store.close();
  }
  const { data } = await brokerInvite({ directory, user: admin, forSeconds: undefined }, host);
  const { url } = data as { url: string };
  return {
    data: { directory, admin, ...data },
    lines: [
      [
        { text: 'made', style: 'green' },
        ` a broker in ${directory}: broker.yaml, catalogue.yaml, policies/, keys/`,
      ],
      'next:',
      `  oncall broker serve ${directory}`,
      [`  oncall enroll '${url}'`, { text: `   # ${admin}'s first device, within a day`, style: 'dim' }],
    ],
  };
}

export async function brokerCheck({ directory }: { directory: string }, host: Host): Promise<Result> {
  const config = await loadConfig(directory);
  await loadBrokerKeys(config.keysDirectory);
  const { rules, findings } = await loadRules(config);
  const missing = rules ? await findMissingSecrets(config, rules.catalogue.directory, host) : [];
  const all = [...findings, ...missing];
  const errors = all.filter(({ severity }) => severity === 'error').length;
  const lines = all.flatMap((finding) => [
    [
      {
        text: finding.severity,
        style: finding.severity === 'error' ? ('red' as const) : ('yellow' as const),
      },
      ` ${formatFinding(finding)}`,
    ],
    ...(finding.hint ? [[{ text: `      ${finding.hint}`, style: 'dim' as const }]] : []),
  ]);
  const summary = errors === 0 ? 'everything is in order' : `${errors} ${errors === 1 ? 'error' : 'errors'}`;
  return {
    data: { ok: errors === 0, findings: all },
    lines: [...lines, summary],
    ...(errors > 0 && { failure: new AppError('check_failed', `${summary} in ${directory}`) }),
  };
}

async function findMissingSecrets(config: BrokerConfig, directory: string, host: Host): Promise<Finding[]> {
  const resolveSecret = createSecretReader(directory, host.env);
  const findings: Finding[] = [];
  const { rules } = await loadRules(config);
  for (const { id, target } of rules?.catalogue.resources.values() ?? []) {
    if (target.kind !== 'postgres' || !target.broker.password) continue;
    await resolveSecret(target.broker.password).catch((error: AppError) =>
      findings.push({
        severity: 'warning',
        file: 'catalogue.yaml',
        line: undefined,
        column: undefined,
        message: `${id}: ${error.message}`,
        hint: error.hint ?? `oncall broker target ${id}`,
      }),
    );
  }
  return findings;
}

export async function brokerServe({ directory }: { directory: string }, host: Host): Promise<undefined> {
  const broker = await startBroker({
    directory,
    version: ONCALL_VERSION,
    env: host.env,
    now: host.now,
    log: (line) => host.out(line),
  });
  host.onReload(() => void broker.reload());
  await new Promise<void>((resolve) => {
    if (host.signal.aborted) resolve();
    else host.signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await broker.stop();
}

export async function brokerInvite(
  options: { directory: string; user: string; forSeconds: number | undefined },
  host: Host,
): Promise<Result> {
  const { user, forSeconds = INVITE_SECONDS } = options;
  return withStore(options.directory, host, async (store, config) => {
    const rules = await requireRules(config);
    const keys = await loadBrokerKeys(config.keysDirectory);
    const log = createAuditLog(store, keys, config.origin);
    const devices = createDevices(
      store,
      log,
      createEndings(store, new Map(), log),
      { publicUrl: config.publicUrl.href, rawIdentityKey: keys.identity.rawPublicKey },
      (id) => rules.catalogue.people.has(id),
    );
    const actor = { kind: 'operator' as const, id: userInfo().username };
    const { reply } = await store.write((tx) => devices.invite(tx, { actor }, user, forSeconds));
    return {
      data: { user, ...reply },
      lines: [`for ${user}, once, until ${reply.expiresAt}:`, `  oncall enroll '${reply.url}'`],
    };
  });
}

export async function brokerMigrate({ directory }: { directory: string }, host: Host): Promise<Result> {
  return withStore(directory, host, async (store) => {
    const applied = await store.migrate();
    return {
      data: { applied },
      lines: applied.length === 0 ? ['nothing to do'] : applied.map((version) => `applied ${version}`),
    };
  });
}

export async function brokerBackup(
  { directory, file }: { directory: string; file: string },
  host: Host,
): Promise<Result> {
  return withStore(directory, host, async (store) => {
    await store.backup(file);
    return {
      data: { file },
      lines: [
        `the store is in ${file}; keys/, broker.yaml, catalogue.yaml and policies/ are plain files: copy them too`,
      ],
    };
  });
}

/** Puts a backup in the place of the database; the one that was there is kept beside it. */
export async function brokerRestore(
  { directory, file }: { directory: string; file: string },
  host: Host,
): Promise<Result> {
  const config = await loadConfig(directory);
  if (config.store.kind !== 'sqlite') {
    throw new AppError('usage', 'this broker keeps its store in PostgreSQL', {
      hint: 'restore it with pg_restore',
    });
  }
  const { file: database } = config.store;
  const unlock = await lockDirectory(directory, 'alone');
  try {
    const incoming = `${database}.restoring`;
    await copyFile(file, incoming);
    const { openSqliteStore } = await import('../store/sqlite.ts');
    // Opening it proves that it is a store, and folds whatever write-ahead log it has into the file.
    const candidate = await openSqliteStore({ file: incoming, now: host.now });
    await candidate.checkMigrations().finally(() => candidate.close());
    const kept = `${database}.before-restore`;
    for (const suffix of ['', '-wal', '-shm']) {
      await rename(`${database}${suffix}`, `${kept}${suffix}`).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    }
    await rename(incoming, database);
    return {
      data: { file, kept },
      lines: [
        `restored; the old store is in ${kept}`,
        'devices that have seen a newer audit checkpoint will refuse this broker until its log is as long again',
      ],
    };
  } finally {
    await unlock();
  }
}

export async function brokerRotateTls({ directory }: { directory: string }, host: Host): Promise<Result> {
  const config = await loadConfig(directory);
  const keys = await loadBrokerKeys(config.keysDirectory);
  const identityCertificate = await readFile(join(config.keysDirectory, 'identity.crt'), 'utf8');
  await writeTls(config, keys, identityCertificate, host.now());
  return {
    data: { directory },
    lines: [
      'a new TLS key is in place; send the broker SIGHUP to use it',
      'devices need nothing: they trust the identity key',
    ],
  };
}

export async function brokerTarget(
  options: { directory: string; resource: string; check: boolean },
  host: Host,
): Promise<Result> {
  return withStore(options.directory, host, async (store, config) => {
    const { catalogue } = await requireRules(config);
    const resource = catalogue.resources.get(options.resource);
    if (!resource) {
      throw new AppError('not_found', `there is no resource '${options.resource}'`, {
        hint: `resources: ${[...catalogue.resources.keys()].join(', ')}`,
      });
    }
    const keys = await loadBrokerKeys(config.keysDirectory);
    const resolveSecret = createSecretReader(catalogue.directory, host.env);
    const made = createBrokerIssuers({
      config,
      keys,
      store,
      resolveSecret,
      catalogueDirectory: catalogue.directory,
    });
    try {
      const issuer = made.issuers.find(({ kind }) => kind === resource.target.kind);
      if (!issuer) throw new AppError('internal', `no issuer of kind ${resource.target.kind}`);
      if (!options.check) {
        const { steps } = issuer.guide(resource);
        return {
          data: { resource: resource.id, kind: issuer.kind, steps },
          lines: steps.flatMap(({ title, where, text }) => [
            [
              { text: `# ${title}`, style: 'bold' as const },
              { text: `   (${where})`, style: 'dim' as const },
            ],
            ...text.split('\n'),
            '',
          ]),
        };
      }
      const requirements = await issuer.check(resource, host.signal);
      const missing = requirements.filter(({ ok }) => !ok).length;
      return {
        data: { resource: resource.id, ok: missing === 0, requirements },
        lines: requirements.flatMap(({ ok, name, detail, fix }) => [
          [
            ok ? { text: 'ok     ', style: 'green' as const } : { text: 'missing', style: 'red' as const },
            ` ${name}: ${detail}`,
          ],
          ...(fix === undefined ? [] : [`        ${fix}`]),
        ]),
        ...(missing > 0 && { failure: new AppError('check_failed', `${resource.id}: ${missing} missing`) }),
      };
    } finally {
      await made.close();
    }
  });
}

async function withStore<T>(
  directory: string,
  host: Host,
  work: (store: Store, config: BrokerConfig) => Promise<T>,
): Promise<T> {
  const config = await loadConfig(directory);
  const store = await openStore(config, createSecretReader(directory, host.env), host.now);
  try {
    return await work(store, config);
  } finally {
    await store.close();
  }
}
