/**
 * The composition root: one folder becomes a running broker. Reloading swaps catalogue and policy as one; a bad new file
 * leaves the old ones in force and says so.
 */
import type { Server } from 'node:tls';
import { type Logger, pino } from 'pino';
import type { Issuer } from '../issuers/issuer.ts';
import { AppError } from '../protocol/errors.ts';
import { sshFingerprint, sshPublicKeyBlob } from '../protocol/ssh-wire.ts';
import type { Store } from '../store/store.ts';
import { BROKER, createAuditLog } from './audit-log.ts';
import { compose } from './compose.ts';
import type { BrokerConfig } from './config.ts';
import { STREAM_LIMITS, type StreamLimits } from './http/event-stream.ts';
import { createServer } from './http/server.ts';
import { readTls, takeTls } from './http/server-tls.ts';
import { createSecretReader, formatFinding, loadConfig, loadRules, requireRules } from './installation.ts';
import { createBrokerIssuers, loadIssuerKeys } from './issuers.ts';
import { createJobs } from './jobs.ts';
import { loadBrokerKeys } from './keys.ts';
import { lockDirectory } from './lock.ts';
import { createLogReach } from './log-reach.ts';
import { findMissingFiles } from './missing-files.ts';
import { createOutside } from './outside.ts';
import { endWhatLeft } from './reload.ts';
import { createPublishedLists } from './revocation-lists.ts';
import type { Rules } from './rules.ts';
import { openStore } from './stores.ts';

export interface RunningBroker {
  /** Where it listens: differs from `publicUrl` behind a load balancer. */
  address: string;
  reload(): Promise<void>;
  /** Finishes what is in flight, then closes. */
  stop(): Promise<void>;
}

export interface BrokerOptions {
  directory: string;
  version: string;
  env: Readonly<Record<string, string | undefined>>;
  now: () => number;
  /** Structured log lines. */
  log: (line: string) => void;
  streamLimits?: Partial<StreamLimits>;
  /** Lets a test put faults between the broker and what it stands on. */
  decorate?: { store?: (store: Store) => Store; issuer?: (issuer: Issuer) => Issuer };
}

/** Longer than any answer takes: a call to a target, then the wait for its proof. */
const STOP_MS = 15_000;

export async function startBroker(options: BrokerOptions): Promise<RunningBroker> {
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    return await start(options, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** What was opened is put on `closers`, to be closed last first by `close`. */
async function start(
  options: BrokerOptions,
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<RunningBroker> {
  const { directory, decorate } = options;
  closers.push(await lockDirectory(directory, 'shared'));
  const config = await loadConfig(directory);
  const keys = await loadBrokerKeys(config.keysDirectory);
  let current = await requireRules(config);
  const rules = () => current;
  const logger = pino({ level: config.logLevel, base: null }, { write: options.log });
  const resolveSecret = createSecretReader(current.catalogue.directory, options.env);
  const opened = await openStore(config, resolveSecret, options.now);
  closers.push(() => opened.close());
  await opened.checkMigrations();
  const store = decorate?.store?.(opened) ?? opened;

  const issuerKeys = await loadIssuerKeys(keys, config);
  const made = createBrokerIssuers({
    config,
    keys,
    issuerKeys,
    store,
    resolveSecret,
    catalogueDirectory: current.catalogue.directory,
  });
  closers.push(() => made.close());
  const issuers = new Map(
    made.issuers.map((issuer) => [issuer.kind as string, decorate?.issuer?.(issuer) ?? issuer]),
  );
  const log = createAuditLog(store, keys, config.origin);
  const outside = createOutside(rules, resolveSecret, options.now);
  const { modules, lanes, ...parts } = compose({
    store,
    rules,
    log,
    issuers,
    breakGlass: new Map(made.breakGlass.map((issuer) => [issuer.kind, issuer])),
    outside,
    logger,
    authorities: new Set(
      [keys.sshCa, keys.breakGlass.ssh].map(({ privateKey }) => sshFingerprint(sshPublicKeyBlob(privateKey))),
    ),
    invitation: { publicUrl: config.publicUrl.href, rawIdentityKey: keys.identity.rawPublicKey },
    sign: keys.identity.sign,
    resolveSecret,
  });
  const { changes, endings, metrics } = modules;
  const jobs = createJobs(store, lanes, { logger, onDone: () => changes.announce() });

  const app = createServer(
    {
      store,
      rules,
      log,
      config,
      keys,
      logger,
      tls: config.tls ? await readTls(config) : undefined,
      version: options.version,
      authority: config.publicUrl.host,
      endpoints: config.endpoints,
      reach: createLogReach(config.origin, keys),
      streamLimits: { ...STREAM_LIMITS, ...options.streamLimits },
      tokenKeys: issuerKeys.tokenKeys,
      lists: createPublishedLists(store, keys, issuerKeys),
      onChange() {
        changes.announce();
        jobs.kick();
      },
    },
    modules,
  );
  closers.push(() => app.close());
  // Before the first request: to an empty book of shifts nobody is on call.
  await parts.start();
  closers.push(() => parts.stop());
  const address = await app.listen(config.listen).catch((error: NodeJS.ErrnoException) => {
    throw cannotListen(config, error);
  });
  await store.write(async (tx) => {
    await parts.schedule(tx);
    await log.record(tx, {
      event: 'broker.started',
      actor: BROKER,
      subject: {},
      data: digests(current, options.version),
    });
    // The catalogue may have changed while no broker was looking.
    await endWhatLeft(tx, current.catalogue, endings);
  });
  jobs.start();
  closers.push(() => jobs.stop());
  await warnOfMissingFiles();
  logger.info({ address, publicUrl: config.publicUrl.href }, 'serving');

  async function warnOfMissingFiles(): Promise<void> {
    for (const { message, hint } of await findMissingFiles(
      current.catalogue,
      options.env,
      config.keysDirectory,
    ))
      logger.warn({ hint }, message);
  }

  return {
    address,
    async reload() {
      const next = await loadNext(config, logger);
      metrics.reloads.inc({ outcome: next ? 'taken' : 'refused' });
      if (next) {
        await parts.prepare(next);
        current = next;
      }
      await issuerKeys.tokenKeys.reload().catch((error: unknown) => {
        logger.error({ err: error }, 'the keys for tokens cannot be read: the old ones stay in force');
      });
      if (config.tls) {
        await takeTls(app.server as unknown as Server, config, current.catalogue, logger);
      }
      if (!next) return;
      await parts.reloaded();
      await warnOfMissingFiles();
      await store.write(async (tx) => {
        await log.record(tx, {
          event: 'rules.reloaded',
          actor: BROKER,
          subject: {},
          data: digests(next, options.version),
        });
        await endWhatLeft(tx, next.catalogue, endings);
        await parts.schedule(tx);
      });
      jobs.kick();
      logger.info(digests(next, options.version), 'catalogue and policy reloaded');
    },
    async stop() {
      // Answers first, then due work, then what both stand on.
      changes.close();
      // Node stops looking for requests that never end once it closes.
      const cut = setTimeout(() => app.server.closeAllConnections(), STOP_MS);
      await app.close();
      clearTimeout(cut);
      await close();
      logger.info('stopped');
    },
  };
}

function cannotListen({ listen }: BrokerConfig, cause: NodeJS.ErrnoException): AppError {
  const place = `${listen.host}:${listen.port}`;
  if (cause.code === 'EADDRINUSE') {
    return new AppError('busy', `something else listens on ${place}`, {
      hint: 'stop it, or change listen in broker.yaml',
      cause,
    });
  }
  return new AppError('config_invalid', `cannot listen on ${place}`, {
    hint: 'change listen in broker.yaml',
    cause,
  });
}

async function loadNext(config: BrokerConfig, logger: Logger): Promise<Rules | undefined> {
  try {
    const { rules, findings } = await loadRules(config);
    if (rules) return rules;
    const errors = findings.filter(({ severity }) => severity === 'error').map(formatFinding);
    logger.error(
      { findings: errors },
      'the new catalogue or policy is not valid: the old ones stay in force',
    );
  } catch (error) {
    logger.error({ err: error }, 'the new catalogue or policy cannot be read: the old ones stay in force');
  }
  return undefined;
}

function digests(rules: Rules, version: string) {
  return { policySha256: rules.policy.sha256, catalogueSha256: rules.catalogue.sha256, version };
}
