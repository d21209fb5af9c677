import { includeLine } from '../../client/targets/ssh.ts';
import { toolFile } from '../../client/tool-files.ts';
import { homeFile } from './home.ts';
import type { SetupTool } from './tool.ts';

/** OpenSSH reads this file of the account, whatever the environment says; ours stands before any Host block, or it would belong to it. */
export const SSH_TOOL: SetupTool = {
  name: 'ssh',
  summary: 'ssh, scp and sftp: hosts by name',
  place: ({ env }) => ({ file: homeFile(env, '.ssh', 'config'), comment: '#', at: 'top', mode: 0o600 }),
  lines: async (_, { paths }) => [includeLine(toolFile(paths, 'ssh_config'))],
  usesAgent: true,
  usage: 'ssh HOST',
};
