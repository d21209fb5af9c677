/** What the catalogue names and that is not here, or not readable. It may come later, so it is a warning. */
import { access } from 'node:fs/promises';
import { resolve } from 'node:path';
import { certificateFilesOf, secretsOf } from '../catalogue/outside-files.ts';
import type { Catalogue, Finding } from '../catalogue/types.ts';
import type { AppError } from '../protocol/errors.ts';
import { createSecretReader } from './installation.ts';
import { loadTokenKeys } from './token-keys.ts';

export async function findMissingFiles(
  catalogue: Catalogue,
  env: Readonly<Record<string, string | undefined>>,
  keysDirectory: string,
): Promise<Finding[]> {
  const readSecret = createSecretReader(catalogue.directory, env);
  const findings: Finding[] = [];
  const missing = (owner: string, message: string, hint: string | undefined) =>
    findings.push({
      severity: 'warning',
      file: 'catalogue.yaml',
      line: undefined,
      column: undefined,
      message: `${owner}: ${message}`,
      hint,
    });
  for (const { owner, ref, hint } of secretsOf(catalogue)) {
    const problem = await readSecret(ref).then(
      () => undefined,
      (error: AppError) => error,
    );
    if (problem) missing(owner, problem.message, problem.hint ?? hint);
  }
  for (const { owner, ref, hint } of certificateFilesOf(catalogue)) {
    const file = resolve(catalogue.directory, ref);
    const isThere = await access(file).then(
      () => true,
      () => false,
    );
    if (!isThere) missing(owner, `cannot read ${file}`, hint);
  }
  const withTokens = [...catalogue.resources.values()].find(({ target }) => target.kind === 'http');
  if (withTokens !== undefined) {
    const none = { message: 'this broker has no keys for tokens', hint: 'oncall broker rotate tokens' };
    const problem = await loadTokenKeys(keysDirectory).then(
      (keys) => (keys === undefined ? none : undefined),
      (error: AppError) => error,
    );
    if (problem) missing(withTokens.id, problem.message, problem.hint);
  }
  return findings;
}
