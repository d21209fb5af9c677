/** What `oncall broker …` does, by file access on the broker's host. The command line parses and renders; this works. */
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { createAuditLog } from './audit-log.ts';
import { startBroker } from './broker.ts';
import { createDevices } from './devices.ts';
import { createEndings } from './endings.ts';
import { type Host, type Result, withStore } from './host.ts';
import { initDirectory, writeTls } from './init.ts';
import { createSecretReader, loadConfig, requireRules } from './installation.ts';
import { loadBrokerKeys } from './keys.ts';
import { openStore } from './stores.ts';
import { rotateTokenKeys } from './token-keys.ts';
import { brokerUnit as createUnit, ownName } from './unit.ts';

export { brokerCheck } from './commands-check.ts';
export { brokerHostAdd, brokerHostList, brokerHostRemove } from './commands-host.ts';
export { brokerBackup, brokerMigrate, brokerRestore } from './commands-store.ts';
export { brokerTarget } from './commands-target.ts';

declare const ONCALL_VERSION: string;

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

export async function brokerUnit(
  { directory, user }: { directory: string; user: string | undefined },
  { program }: Host,
): Promise<Result> {
  await loadConfig(directory);
  const unit = createUnit({ directory: resolve(directory), program, user: user ?? ownName() });
  return { data: { unit }, lines: unit.trimEnd().split('\n') };
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

export async function brokerRotateTokens({ directory }: { directory: string }, _host: Host): Promise<Result> {
  const config = await loadConfig(directory);
  const outcome = await rotateTokenKeys(config.keysDirectory);
  return {
    data: { directory, outcome },
    lines: [
      outcome === 'made'
        ? 'keys for tokens are in place; send the broker SIGHUP to use them'
        : 'the next key for tokens is in place; send the broker SIGHUP to use it',
      'where several brokers share a store, copy token*.key to each of them first',
      'rotate again after a quarter of an hour at the earliest: tokens under the last key live for so long',
    ],
  };
}
