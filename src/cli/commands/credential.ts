import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HeldCredential } from '../../client/credentials.ts';
import { ensureCredential } from '../../client/hold.ts';
import { environmentFor } from '../../client/session-files.ts';
import { grantFolder } from '../../client/session-paths.ts';
import { clientTarget, fromAllKinds } from '../../client/targets/kinds.ts';
import { AppError } from '../../protocol/errors.ts';
import { defineCommand, firstArgument, readTarget, type TypedTarget, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { findGrant, formatTyped, notHeld, standingGrants } from '../held-grants.ts';
import { writeJson } from '../io.ts';

const FORMATS = ['env', 'json', ...fromAllKinds(({ formats }) => Object.keys(formats))];

export interface CredentialOptions {
  readonly target: TypedTarget;
  /** Undefined: json with --json, else what fits the target. */
  readonly format: string | undefined;
}

export const credentialCommand = defineCommand<CredentialOptions>({
  declare: (command) =>
    void command
      .argument('<target>', 'a resource, or resource:role')
      .option('--format <format>', `${FORMATS.join(', ')} (what fits the target)`),
  read: (typed) => ({
    target: readTarget(firstArgument(typed, 'target')),
    format: readFormat(textOption(typed, 'format')),
  }),
  run: runCredential,
});

/** The one command that prints a secret: its job is to hand a credential to another tool. */
export async function runCredential(context: Context, options: CredentialOptions): Promise<void> {
  const { target } = options;
  const grant = findGrant(target, await standingGrants(context));
  if (grant === undefined) throw notHeld(formatTyped(target));
  const { formats, usualFormat, secretEnvironment } = clientTarget(grant.kind);
  const format = options.format ?? (context.format === 'table' ? usualFormat : 'json');
  if (format !== 'env' && format !== 'json' && !(format in formats)) {
    throw new AppError(
      'usage',
      `--format ${format} does not fit ${target.resource}, which is ${grant.kind}`,
      {
        hint: `use --format ${usualFormat} or json`,
      },
    );
  }
  const credential = await ensureCredential(await context.client(), grant);
  const { paths } = await context.clientContext();
  const folder = grantFolder(paths, grant.id);
  if (format === 'json') {
    const lineFormat = context.format === 'ndjson' ? 'ndjson' : 'json';
    return writeJson(context.io.stdout, lineFormat, {
      schema: 'oncall.credential/v1',
      ...secretJson(credential),
    });
  }
  if (format === 'env') {
    const env = { ...environmentFor(paths, [credential]), ...secretEnvironment(credential.secret) };
    const lines = Object.entries(env).map(([name, value]) => `export ${name}=${shellQuote(value)}\n`);
    return context.io.stdout.write(lines.join(''));
  }
  context.io.stdout.write(await readFile(join(folder, formats[format] ?? ''), 'utf8'));
}

function secretJson({ target, grantId, expiresAt, publicPart, secret }: HeldCredential): object {
  const { kind: _, ...parts } = secret;
  return { target, grantId, expiresAt, ...publicPart, ...parts };
}

function readFormat(text: string | undefined): string | undefined {
  const format = FORMATS.find((name) => name === text);
  if (text !== undefined && format === undefined) {
    throw new AppError('usage', `unknown credential format: ${text}`, { hint: `use ${FORMATS.join(', ')}` });
  }
  return format;
}

/** POSIX shells: nothing is special between single quotes but the quote. */
function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
