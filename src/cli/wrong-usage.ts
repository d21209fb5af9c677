/** What is said of a command line that does not parse. Loaded only then. */
import type { CommanderError } from 'commander';
import { nearest } from '../catalogue/nearest.ts';
import { AppError } from '../protocol/errors.ts';
import { ALL_PAGES, TOPIC_NAMES } from './help.ts';
import type { Found } from './program.ts';

/** With the nearest word that there is. */
export function unknownWord(
  { word, level }: NonNullable<Found['unknown']>,
  { path, special }: Found,
): AppError {
  const isHelp = special === 'help' && path.length === 0;
  const prefix = ['oncall', ...(isHelp ? ['help'] : path)].join(' ');
  if (word.startsWith('-')) {
    return new AppError('usage', `unknown option: ${word}`, {
      hint: path.length > 0 ? `${prefix} --help` : 'oncall help all',
    });
  }
  if (word === 'login' && path.length === 0) {
    return new AppError('usage', 'unknown command: login', {
      hint: 'there is nothing to sign in to; oncall enroll URL registers this device once',
    });
  }
  const names = level.flatMap(({ name, aliases = [] }) => [name, ...aliases]);
  const near = nearest(word, isHelp ? [...names, ...TOPIC_NAMES, ...ALL_PAGES] : names);
  const page = path.length > 0 ? `${prefix} --help` : 'oncall help all';
  return new AppError('usage', `unknown command: ${[...path, word].join(' ')}`, {
    hint: near === undefined ? page : `did you mean ${prefix} ${near}`,
  });
}

/** commander says "error: …", and sometimes "(Did you mean …?)" on a second line. */
export function wrongUsage(name: string, error: CommanderError): AppError {
  const [first = '', suggestion] = error.message.replace(/^error: /, '').split('\n');
  const near = suggestion?.match(/Did you mean (.+)\?/)?.[1];
  return new AppError(
    'usage',
    first.replace('. Expected', ': expected').replace(/\.$/, '').replaceAll("'", ''),
    {
      hint: near === undefined ? `oncall ${name} --help` : `did you mean ${near}`,
    },
  );
}
