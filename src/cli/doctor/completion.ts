import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Environment } from '../io.ts';
import { absolutePath } from '../setup/home.ts';
import { type Check, warned, well } from './check.ts';

/** Where each shell, or a package for all, looks for what completes a command of our name; the first is the person's own. */
const PLACES: Readonly<Record<string, (own: Own) => readonly string[]>> = {
  bash: ({ data }) => [
    join(data, 'bash-completion', 'completions', 'oncall'),
    '/usr/local/share/bash-completion/completions/oncall',
    '/usr/share/bash-completion/completions/oncall',
    '/etc/bash_completion.d/oncall',
  ],
  zsh: ({ data }) => [
    join(data, 'zsh', 'site-functions', '_oncall'),
    '/usr/local/share/zsh/site-functions/_oncall',
    '/usr/share/zsh/vendor-completions/_oncall',
    '/usr/share/zsh/site-functions/_oncall',
  ],
  fish: ({ config }) => [
    join(config, 'fish', 'completions', 'oncall.fish'),
    '/usr/local/share/fish/vendor_completions.d/oncall.fish',
    '/usr/share/fish/vendor_completions.d/oncall.fish',
  ],
};

interface Own {
  readonly data: string;
  readonly config: string;
}

export const COMPLETION: Check = {
  name: 'completion',
  look({ context: { env } }) {
    const shell = basename(env.SHELL ?? '');
    const own = ownFolders(env);
    const places = own && PLACES[shell]?.(own);
    if (places === undefined) return [well(`nothing is known of the shell ${shell || 'of this account'}`)];
    const found = places.find((place) => existsSync(place));
    if (found !== undefined) return [well(found)];
    return [warned(`none is installed for ${shell}`, 'oncall setup completion')];
  },
};

function ownFolders(env: Environment): Own | undefined {
  const home = absolutePath(env.HOME);
  if (home === undefined) return undefined;
  return {
    data: absolutePath(env.XDG_DATA_HOME) ?? join(home, '.local', 'share'),
    config: absolutePath(env.XDG_CONFIG_HOME) ?? join(home, '.config'),
  };
}
