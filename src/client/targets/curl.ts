/** What `curl` must be told by its arguments, because it reads it from no variable: file names, never a secret. */
import { basename } from 'node:path';
import type { Command } from './client-target.ts';

interface Credential {
  readonly publicPart: { readonly url: string };
}

/**
 * The command with the options of the credential whose service it calls. Only where each address among its arguments is that
 * service's: options of curl's hold for all of them, and nobody else shall be shown what logs in there. Unchanged where it
 * has one of `own`, which is what the person wants instead.
 */
export function withCurlOptions<C extends Credential>(
  [program, ...args]: Command,
  credentials: readonly C[],
  own: readonly string[],
  optionsOf: (credential: C) => readonly string[],
): Command {
  const command: Command = [program, ...args];
  if (basename(program) !== 'curl' || args.some((word) => own.some((option) => isOption(word, option)))) {
    return command;
  }
  const origins = new Set(args.flatMap(originsIn));
  const [origin] = origins;
  const chosen = credentials.find(({ publicPart }) => originOf(publicPart.url) === origin);
  if (origins.size !== 1 || chosen === undefined) return command;
  return [program, ...optionsOf(chosen), ...args];
}

/** `--cert`, `--cert=…`, and of the short ones also `-E…`. */
function isOption(word: string, option: string): boolean {
  if (option.startsWith('--')) return word === option || word.startsWith(`${option}=`);
  return word.startsWith(option);
}

/** Addresses may stand behind an option too, as in `--url=https://…`. */
function originsIn(word: string): string[] {
  const at = word.search(/[A-Za-z][A-Za-z0-9+.-]*:\/\//);
  return at < 0 ? [] : [originOf(word.slice(at))];
}

function originOf(url: string): string {
  if (!URL.canParse(url)) return url;
  const { protocol, host } = new URL(url);
  return `${protocol}//${host}`;
}
