/** `oncall broker check`: everything that can be found out before it matters, each with its line and what to do about it. */
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import type { Finding } from '../catalogue/types.ts';
import { AppError } from '../protocol/errors.ts';
import type { HostRow } from '../store/rows.ts';
import type { BrokerConfig } from './config.ts';
import { toFinding } from './gap.ts';
import type { Host, Result } from './host.ts';
import { checkHostFeed } from './host-feed.ts';
import { createSecretReader, formatFinding, loadConfig, loadRules } from './installation.ts';
import { loadBrokerKeys } from './keys.ts';
import { findMissingFiles } from './missing-files.ts';
import { checkPhases, readDrills } from './phases.ts';
import type { Rules } from './rules.ts';
import { openStore } from './stores.ts';
import { loadTokenKeys } from './token-keys.ts';

export async function brokerCheck({ directory }: { directory: string }, host: Host): Promise<Result> {
  const config = await loadConfig(directory);
  await loadBrokerKeys(config.keysDirectory);
  await loadTokenKeys(config.keysDirectory);
  const { rules, findings } = await loadRules(config);
  const missing = rules ? await findMissingFiles(rules.catalogue, host.env, config.keysDirectory) : [];
  const all = [
    ...findings,
    ...missing,
    ...(rules ? await findPhaseGaps(rules, config, directory, host) : []),
  ];
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

/** What the order of phases protects; drills and the reports of hosts are looked up where a resource in force needs one. */
async function findPhaseGaps(
  rules: Rules,
  config: BrokerConfig,
  directory: string,
  host: Host,
): Promise<Finding[]> {
  const { catalogue } = rules;
  const isInForce = [...catalogue.resources.values()].some(({ phase }) => phase > 1);
  const read = isInForce ? await readForCheck(catalogue, config, directory, host) : undefined;
  const file = basename(config.catalogueFile);
  const gaps = [
    ...checkPhases(rules, read?.drilled, host.now()),
    ...checkHostFeed(catalogue, read?.hosts, host.now()),
  ];
  return gaps.map((gap) => toFinding(catalogue, file, gap));
}

/** Undefined where there is no store that could be read, which `check` must not make. */
async function readForCheck(
  catalogue: Rules['catalogue'],
  config: BrokerConfig,
  directory: string,
  host: Host,
): Promise<{ drilled: ReadonlyMap<string, number>; hosts: readonly HostRow[] } | undefined> {
  if (config.store.kind === 'sqlite' && !existsSync(config.store.file)) return undefined;
  try {
    const store = await openStore(config, createSecretReader(directory, host.env), host.now);
    try {
      await store.checkMigrations();
      return await store.read(async (tx) => ({
        drilled: await readDrills(tx, catalogue),
        hosts: await tx.hosts(),
      }));
    } finally {
      await store.close();
    }
  } catch {
    return undefined;
  }
}
