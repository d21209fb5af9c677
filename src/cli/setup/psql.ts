import { toolLines } from '../../client/tool-files.ts';
import { absolutePath, homeFile } from './home.ts';
import type { SetupTool } from './tool.ts';

/**
 * libpq includes no other file, and PGSERVICEFILE in a shell's start-up file would hide the person's own services. So the sections
 * themselves stand in the service file, and follow what is held: they change when a grant begins or ends, and hold no secret.
 */
export const PSQL_TOOL: SetupTool = {
  name: 'psql',
  summary: 'psql and all else on libpq: services by the name of the resource',
  place: ({ env, paths }) => {
    const named = absolutePath(env.PGSERVICEFILE);
    // Below `oncall run` it names a file of ours that does not last.
    const own = named?.startsWith(`${paths.runDir}/`) ? undefined : named;
    return { file: own ?? homeFile(env, '.pg_service.conf'), comment: '#', at: 'end', mode: 0o600 };
  },
  lines: async (_, { paths }) => toolLines(paths, 'pg_service.conf'),
  follows: 'pg_service.conf',
  usage: 'psql service=RESOURCE',
};
