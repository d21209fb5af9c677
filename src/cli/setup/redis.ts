import { type Shell, shellOf, startFile } from './shells.ts';
import type { SetupTool } from './tool.ts';

/**
 * redis-cli reads neither an address nor a password from any file, and a password in the shell's own environment would reach
 * whatever runs there. So there is a function of one line, which goes through `oncall run`.
 */
export const REDIS_TOOL: SetupTool = {
  name: 'redis',
  summary: 'bash, zsh and fish: oncall-redis, which is redis-cli at a resource',
  place: (where) => ({ file: startFile(where), comment: '#', at: 'end', mode: 0o644 }),
  lines: async (_, where) => {
    const { profile } = where.paths;
    // Each installation has a name of its own. Names of profiles are letters, digits and dashes.
    const [suffix, option] = profile === 'default' ? ['', ''] : [`-${profile}`, ` --profile ${profile}`];
    return LINES[shellOf(where)](`oncall-redis${suffix}`, option);
  },
  usage: 'open a new shell, then: oncall-redis RESOURCE',
};

const LINES: Readonly<Record<Shell, (name: string, option: string) => readonly string[]>> = {
  bash: posixLines,
  zsh: posixLines,
  fish: fishLines,
};

function posixLines(name: string, option: string): string[] {
  return [
    `${name}() {`,
    '  if [ $# -eq 0 ]; then',
    `    echo 'usage: ${name} RESOURCE [arguments of redis-cli]' >&2`,
    '    return 2',
    '  fi',
    '  local target=$1',
    '  shift',
    `  command oncall run "$target"${option} -- redis-cli "$@"`,
    '}',
  ];
}

function fishLines(name: string, option: string): string[] {
  return [
    `function ${name}`,
    '  if test (count $argv) -eq 0',
    `    echo 'usage: ${name} RESOURCE [arguments of redis-cli]' >&2`,
    '    return 2',
    '  end',
    `  command oncall run $argv[1]${option} -- redis-cli $argv[2..-1]`,
    'end',
  ];
}
