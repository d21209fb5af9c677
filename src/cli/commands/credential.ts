import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { HeldCredential } from '../../client/credentials.ts';
import { readSafeFile } from '../../client/files.ts';
import { ensureCredential } from '../../client/hold.ts';
import { environmentFor } from '../../client/session-files.ts';
import { grantFolder } from '../../client/session-paths.ts';
import { readStatusFile } from '../../client/status-file.ts';
import { clientTarget, fromAllKinds } from '../../client/targets/kinds.ts';
import { AppError, isAppError } from '../../protocol/errors.ts';
import { choiceHint } from '../choice-hint.ts';
import { defineCommand, firstArgument, readTarget, type TypedTarget, textOption } from '../command.ts';
import type { Context } from '../context.ts';
import { findGrant, formatTyped, notHeld, standingGrants } from '../held-grants.ts';
import { warn, writeJson } from '../io.ts';
import { openFor, takeOpened } from '../take-opened.ts';

/** A third of the shortest life that a credential of such a tool has. */
const LONG_ENOUGH_MS = 200_000;

/** Codes of a renewal that failed, after which what is held may be used until it runs out. */
const NOT_THE_END: readonly string[] = [
  'broker_unreachable',
  'target_unreachable',
  'target_refused',
  'denied',
  'busy',
];

const FORMATS = ['env', 'json', ...fromAllKinds(({ formats }) => Object.keys(formats))];

export interface CredentialOptions {
  readonly target: TypedTarget;
  /** Undefined: json with --json, else what fits the target. */
  readonly format: string | undefined;
}

export const credentialCommand = defineCommand<CredentialOptions>({
  json: ['credential'],
  examples: [
    ['oncall credential db-replica --format pgpass', 'a line for ~/.pgpass'],
    ['oncall credential db-replica --json', 'all of it for another tool: this holds the secret'],
  ],
  declare: (command) =>
    void command
      .argument('<target>', 'a resource, or resource:role')
      .option('--format <format>', `${FORMATS.join(', ')} (what fits the target)`),
  completes: { target: { names: ['held'] }, '--format': { words: FORMATS } },
  read: (typed) => ({
    target: readTarget(firstArgument(typed, 'target')),
    format: readFormat(textOption(typed, 'format')),
  }),
  run: runCredential,
});

/**
 * The one command that prints a secret: its job is to hand a credential to another tool. What a tool asks for at each of its
 * calls comes from the run folder while it is good for long enough, and, where it can't be renewed, while it is good at all.
 */
export async function runCredential(context: Context, options: CredentialOptions): Promise<void> {
  const kept = await findKept(context, options);
  if (kept !== undefined && kept.goodUntilMs - context.now() > LONG_ENOUGH_MS) {
    return context.io.stdout.write(kept.text);
  }
  try {
    await printFresh(context, options);
  } catch (error) {
    const mayGoOn = isAppError(error) && NOT_THE_END.includes(error.code);
    if (!mayGoOn || kept === undefined || kept.goodUntilMs <= context.now()) throw error;
    await warn(context.io, `${formatTyped(options.target)} is not renewed: ${error.message}`);
    context.io.stdout.write(kept.text);
  }
}

interface Kept {
  readonly text: string;
  readonly goodUntilMs: number;
}

/** What lies in the run folder and would be printed, where the format is one that may be printed again. */
async function findKept(context: Context, { target, format }: CredentialOptions): Promise<Kept | undefined> {
  if (format === undefined) return undefined;
  const { paths } = await context.clientContext();
  const status = readStatusFile(paths);
  // Each use of what was opened by break-glass is written down: it is never just printed again.
  if (openFor(status, target, context.now()).length > 0) return undefined;
  const grant = findGrant(target, status?.grants ?? []);
  if (grant === undefined) return undefined;
  const { formats, goodUntilMs, answer } = clientTarget(grant.kind);
  const name = formats[format];
  if (name === undefined || goodUntilMs === undefined) return undefined;
  const text = readSafeFile(join(grantFolder(paths, grant.id), name), { secret: true })?.toString('utf8');
  if (text === undefined) return undefined;
  return { text: answer?.(format, text, context.env) ?? text, goodUntilMs: goodUntilMs(text) };
}

async function printFresh(context: Context, options: CredentialOptions): Promise<void> {
  const { target } = options;
  const { opened } = await takeOpened(context, [target], 'oncall credential');
  const credential = opened[0] ?? (await granted(context, target));
  const { kind } = credential.publicPart;
  const { formats, usualFormat, secretEnvironment, answer } = clientTarget(kind);
  const format = options.format ?? (context.format === 'table' ? usualFormat : 'json');
  if (format !== 'env' && format !== 'json' && !(format in formats)) {
    throw new AppError('usage', `--format ${format} does not fit ${target.resource}, which is ${kind}`, {
      hint: `use --format ${usualFormat} or json`,
    });
  }
  const { paths } = await context.clientContext();
  const folder = grantFolder(paths, credential.grantId);
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
  const name = formats[format] ?? '';
  const text = await readFile(join(folder, name), 'utf8').catch((cause: unknown) => {
    throw new AppError('usage', `there is no ${name} for ${target.resource}: it logs in by certificate`, {
      hint: 'use --format env or json',
      cause,
    });
  });
  context.io.stdout.write(answer?.(format, text, context.env) ?? text);
}

async function granted(context: Context, target: TypedTarget): Promise<HeldCredential> {
  const grant = findGrant(target, await standingGrants(context));
  if (grant === undefined) throw notHeld(formatTyped(target));
  return ensureCredential(await context.client(), grant);
}

function secretJson({ target, grantId, expiresAt, publicPart, secret }: HeldCredential): object {
  const { kind: _, ...parts } = secret;
  return { target, grantId, expiresAt, ...publicPart, ...parts };
}

function readFormat(text: string | undefined): string | undefined {
  const format = FORMATS.find((name) => name === text);
  if (text !== undefined && format === undefined) {
    throw new AppError('usage', `unknown credential format: ${text}`, { hint: choiceHint(text, FORMATS) });
  }
  return format;
}

/** POSIX shells: nothing is special between single quotes but the quote. */
function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
