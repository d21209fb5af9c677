import { basename } from 'node:path';

const SSH_PROGRAMS = ['ssh', 'scp', 'sftp'];

/**
 * `ssh web-1` behind `oncall run` means the host that was just opened: OpenSSH reads its configuration from no environment
 * variable, so `-F` is put in, unless the command has one.
 */
export function withSshConfig(
  [program, ...args]: readonly [string, ...string[]],
  configFile: string | undefined,
): readonly [string, ...string[]] {
  const isOurs = SSH_PROGRAMS.includes(basename(program)) && !args.some((word) => word.startsWith('-F'));
  return configFile !== undefined && isOurs ? [program, '-F', configFile, ...args] : [program, ...args];
}
