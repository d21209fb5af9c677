/** What somebody who mistyped a name most likely meant, of the names that this machine knows. */
import { join } from 'node:path';
import { nearest } from '../catalogue/nearest.ts';
import { readSafeFile } from '../client/files.ts';
import type { ClientPaths } from '../client/paths.ts';
import { AppError } from '../protocol/errors.ts';
import { isName } from '../protocol/names.ts';
import type { Typed } from './command.ts';
import type { Context } from './context.ts';

/** Names are looked at in files that shells complete from: a name, perhaps a tab and more. */
const LISTS = ['resources', 'bundles', 'roles', 'incidents'] as const;
type Names = Readonly<Record<(typeof LISTS)[number], readonly string[]>>;

/**
 * The same error, with the corrected command line as its hint, where something was not found whose name is near to one that is
 * known here. Anything else comes back as it is: that files are missing or old is no reason for another error.
 */
export async function withNearestName(
  context: Context,
  error: AppError,
  command: string,
  typed: Typed,
): Promise<AppError> {
  try {
    const names = readNames((await context.clientContext()).paths);
    const meant = typedNames(command, typed).find(({ word, lists }) => {
      return concerns(error, word) && meantBy(word, lists, names) !== undefined;
    });
    if (meant === undefined) return error;
    const { code, message, cause, correlationId, details } = error;
    const hint = `did you mean ${meant.before}${meantBy(meant.word, meant.lists, names)}`;
    return new AppError(code, message, { hint, cause, correlationId, details });
  } catch {
    // The error that there is says more than one about names would.
    return error;
  }
}

interface TypedName {
  readonly word: string;
  readonly lists: 'targets' | 'incidents';
  /** What stands before it in a command line. */
  readonly before: string;
}

function typedNames(command: string, { args, options: { incident } }: Typed): TypedName[] {
  const lists = command.startsWith('incident ') ? 'incidents' : 'targets';
  return [
    ...args.map((word): TypedName => ({ word, lists, before: `oncall ${command} ` })),
    ...(typeof incident === 'string'
      ? [{ word: incident, lists: 'incidents', before: '-i ' } satisfies TypedName]
      : []),
  ];
}

/** Undefined for what is known here, and for what is near to nothing. */
function meantBy(word: string, lists: TypedName['lists'], names: Names): string | undefined {
  const { resources, bundles, roles, incidents } = names;
  if (lists === 'incidents') return incidents.includes(word) ? undefined : nearest(word, incidents);
  const [resource = '', role] = word.split(':');
  if (role !== undefined && resources.includes(resource)) {
    const own = roles.filter((one) => one.startsWith(`${resource}:`));
    return own.includes(word) ? undefined : nearest(word, own);
  }
  const wholes = [...resources, ...bundles];
  const near = wholes.includes(resource) ? undefined : nearest(resource, wholes);
  if (near === undefined) return undefined;
  return role === undefined || bundles.includes(near) ? near : `${near}:${role}`;
}

function concerns({ message }: AppError, word: string): boolean {
  const [resource = '', role = resource] = word.split(':');
  return [word, resource, role].some((part) => part !== '' && message.includes(part));
}

function readNames({ completeDir }: ClientPaths): Names {
  const read = (list: string) => {
    const text = readSafeFile(join(completeDir, list))?.toString('utf8') ?? '';
    return text.split('\n').flatMap((line) => line.split('\t')[0] || []);
  };
  const entries = LISTS.map((list) => [list, read(list).filter(isWritable)] as const);
  return Object.fromEntries(entries) as unknown as Names;
}

/** A name, or `resource:role`: what is suggested is what somebody will type. */
function isWritable(text: string): boolean {
  return text.split(':').every(isName);
}
