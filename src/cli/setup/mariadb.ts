import { includeLine } from '../../client/targets/mariadb.ts';
import { toolFile } from '../../client/tool-files.ts';
import { homeFile } from './home.ts';
import type { SetupTool } from './tool.ts';

/** At the end, because of two values the programs take the last; a file that is not there yet is no error to them. */
export const MARIADB_TOOL: SetupTool = {
  name: 'mariadb',
  summary: 'mariadb, mysql and their dumps: option groups by the name of the resource',
  place: ({ env }) => ({ file: homeFile(env, '.my.cnf'), comment: '#', at: 'end', mode: 0o600 }),
  lines: async (_, { paths }) => [includeLine(toolFile(paths, 'mariadb.cnf'))],
  usage: 'mariadb --defaults-group-suffix=_RESOURCE',
};
