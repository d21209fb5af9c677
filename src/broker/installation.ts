/**
 * What lies in a broker's folder, read and validated: broker.yaml, catalogue.yaml, policies/*.cedar, keys. `check` and
 * `serve` see the same findings, because both come through here.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { parseCatalogue } from '../catalogue/parse.ts';
import type { Finding, SecretRef } from '../catalogue/types.ts';
import { loadPolicy } from '../policy/load.ts';
import { AppError } from '../protocol/errors.ts';
import { type BrokerConfig, parseBrokerConfig } from './config.ts';
import { readSecretFile } from './keys.ts';
import type { Rules } from './rules.ts';
import { createShiftBook } from './shift-book.ts';

export const CONFIG_FILE = 'broker.yaml';

export async function loadConfig(directory: string): Promise<BrokerConfig> {
  const file = join(directory, CONFIG_FILE);
  const { config, findings } = parseBrokerConfig(await readText(file), CONFIG_FILE, directory);
  if (!config) throw invalid('config_invalid', findings);
  return config;
}

/** Catalogue and policy, validated against each other; `rules` is undefined where an error stands among the findings. */
export async function loadRules(
  config: BrokerConfig,
): Promise<{ rules: Rules | undefined; findings: Finding[] }> {
  const directory = join(config.catalogueFile, '..');
  const text = await readText(config.catalogueFile);
  const { catalogue, findings } = parseCatalogue(text, basename(config.catalogueFile), directory);
  if (!catalogue) return { rules: undefined, findings: [...findings] };
  const files = (await listPolicies(config.policiesDirectory)).map(async (name) => ({
    file: join(basename(config.policiesDirectory), name),
    text: await readText(join(config.policiesDirectory, name)),
  }));
  const loaded = loadPolicy(await Promise.all(files), catalogue);
  const all = [...findings, ...loaded.findings];
  const broken = all.some(({ severity }) => severity === 'error');
  return {
    rules:
      loaded.policy && !broken
        ? { catalogue, policy: loaded.policy, shifts: createShiftBook(catalogue) }
        : undefined,
    findings: all,
  };
}

export async function requireRules(config: BrokerConfig): Promise<Rules> {
  const { rules, findings } = await loadRules(config);
  if (!rules) throw invalid('catalogue_invalid', findings);
  return rules;
}

/** The first error as the message, all of them as details. */
export function invalid(
  code: 'config_invalid' | 'catalogue_invalid',
  findings: readonly Finding[],
): AppError {
  const errors = findings.filter(({ severity }) => severity === 'error');
  const [first] = errors;
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : '';
  return new AppError(code, `${first ? formatFinding(first) : 'the configuration is not valid'}${more}`, {
    hint: first?.hint ?? 'oncall broker check',
    details: { findings },
  });
}

export function formatFinding({ file, line, column, message }: Finding): string {
  const place = line === undefined ? file : `${file}:${line}:${column ?? 1}`;
  return `${place}: ${message}`;
}

/** Reads what a `{file}` or `{env}` reference names, without its final line break. */
export function createSecretReader(
  directory: string,
  env: Readonly<Record<string, string | undefined>>,
): (ref: SecretRef) => Promise<string> {
  return async (ref) => {
    if ('env' in ref) {
      const value = env[ref.env];
      if (!value) throw new AppError('config_invalid', `the environment variable ${ref.env} is not set`);
      return value;
    }
    const file = ref.file.startsWith('/') ? ref.file : join(directory, ref.file);
    return (await readSecretFile(file, `write the secret to ${file}, mode 0600`)).replace(/\r?\n$/, '');
  };
}

async function listPolicies(directory: string): Promise<string[]> {
  try {
    return (await readdir(directory)).filter((name) => name.endsWith('.cedar')).sort();
  } catch (cause) {
    throw new AppError('policy_invalid', `cannot read ${directory}`, { hint: 'oncall broker init', cause });
  }
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    throw new AppError('config_invalid', `cannot read ${file}`, {
      hint: 'oncall broker init DIR, or --dir DIR',
      cause,
    });
  }
}
