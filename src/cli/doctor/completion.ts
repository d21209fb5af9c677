/** Whether the person's shell completes us: from the block of `oncall setup completion`, or from where a package puts the script. */
import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { blockName, viewBlock } from '../../client/own-block.ts';
import { isAppError } from '../../protocol/errors.ts';
import { absolutePath } from '../setup/home.ts';
import { SETUP_TOOLS } from '../setup/tools.ts';
import { type Check, warned, well } from './check.ts';
import type { Facts } from './facts.ts';

/** Where each shell looks by itself: below the person's own folder of data or configuration, then below those of all. */
const OWN: Readonly<Record<string, readonly [variable: string, fallback: string, path: string]>> = {
  bash: ['XDG_DATA_HOME', '.local/share', 'bash-completion/completions/oncall'],
  zsh: ['XDG_DATA_HOME', '.local/share', 'zsh/site-functions/_oncall'],
  fish: ['XDG_CONFIG_HOME', '.config', 'fish/completions/oncall.fish'],
};
const SHARED: Readonly<Record<string, readonly string[]>> = {
  bash: ['bash-completion/completions/oncall'],
  zsh: ['zsh/site-functions/_oncall', 'zsh/vendor-completions/_oncall'],
  fish: ['fish/vendor_completions.d/oncall.fish'],
};
const SHARES = ['/usr/local/share', '/usr/share', '/opt/homebrew/share'];

export const COMPLETION: Check = {
  name: 'completion',
  async look(facts) {
    const { env } = facts.context;
    const shell = basename(env.SHELL ?? '');
    const own = OWN[shell];
    if (own === undefined) return [well(`nothing is known of the shell ${shell || 'of this account'}`)];
    const block = await setUpIn(facts);
    if (block !== undefined) return [well(`for ${shell}, from ${block}`)];
    const [variable, fallback, path] = own;
    const home = absolutePath(env.HOME);
    const root = absolutePath(env[variable]) ?? (home && join(home, fallback));
    const shared = SHARES.flatMap((share) => (SHARED[shell] ?? []).map((name) => join(share, name)));
    const found = [...(root ? [join(root, path)] : []), ...shared].find((file) => existsSync(file));
    if (found !== undefined) return [well(`for ${shell}, from ${found}`)];
    return [warned(`none is installed for ${shell}`, 'oncall setup completion --write')];
  },
};

/** The file that holds our block. That it can be read is what the tools are asked about. */
async function setUpIn({ place, context: { env } }: Facts): Promise<string | undefined> {
  const tool = SETUP_TOOLS.find(({ name }) => name === 'completion');
  if (tool === undefined) return undefined;
  const { paths } = await place();
  try {
    const spot = tool.place({ env, paths, shell: undefined });
    return viewBlock(spot, blockName(tool.name, paths)).state === 'absent' ? undefined : spot.file;
  } catch (error) {
    if (isAppError(error)) return undefined;
    throw error;
  }
}
