import { toolLines } from '../../client/tool-files.ts';
import { absolutePath, homeFile } from './home.ts';
import type { SetupTool } from './tool.ts';

/** The file includes no other, so the profiles themselves stand in it. Each starts us for a credential: none is written down. */
export const AWS_TOOL: SetupTool = {
  name: 'aws',
  summary: 'aws and all else on an AWS SDK: profiles by the name of the resource',
  place: ({ env, paths }) => {
    const named = absolutePath(env.AWS_CONFIG_FILE);
    // Below `oncall run` it names a file of ours that does not last.
    const own = named?.startsWith(`${paths.runDir}/`) ? undefined : named;
    return { file: own ?? homeFile(env, '.aws', 'config'), comment: '#', at: 'end', mode: 0o600 };
  },
  lines: async (_, { paths }) => toolLines(paths, 'aws_config'),
  follows: 'aws_config',
  usage: 'aws --profile RESOURCE-oncall',
};
