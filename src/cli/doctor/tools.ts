/** The blocks of `oncall setup`: those that stand somewhere are to say what they would say today. What was never set up is fine. */
import { blockName, viewBlock, writeBlock } from '../../client/own-block.ts';
import { isAppError } from '../../protocol/errors.ts';
import { asAppError } from '../failure.ts';
import type { SetupTool } from '../setup/tool.ts';
import { SETUP_TOOLS } from '../setup/tools.ts';
import { type Check, type Finding, failed, warned, well } from './check.ts';
import type { Facts } from './facts.ts';

export const TOOLS: Check = {
  name: 'tools',
  async look(facts) {
    const found: Finding[] = [];
    const current: string[] = [];
    for (const tool of SETUP_TOOLS) {
      const finding = await lookAtTool(facts, tool);
      if (finding === 'current') current.push(tool.name);
      else if (finding !== 'absent') found.push(finding);
    }
    if (current.length > 0) found.unshift(well(`set up: ${current.join(', ')}`));
    return found.length > 0 ? found : [well('none is set up (oncall setup TOOL shows what it would add)')];
  },
};

async function lookAtTool(
  { place, context }: Facts,
  tool: SetupTool,
): Promise<Finding | 'current' | 'absent'> {
  const { paths, env } = await place();
  const write = `oncall setup ${tool.name} --write`;
  const where = { env, paths, shell: undefined };
  const name = blockName(tool.name, paths);
  try {
    const spot = tool.place(where);
    if (viewBlock(spot, name).state === 'absent') return 'absent';
    const lines = await tool.lines(context, where);
    const { state, file } = viewBlock(spot, name, lines);
    if (state === 'current' || state === 'absent') return state;
    if (state === 'edited') {
      return warned(`the block of ${tool.name} in ${file.path} was edited by hand`, `${write} --force`);
    }
    return warned(`the block of ${tool.name} in ${file.path} is of another version`, write, async () => {
      await writeBlock(paths, spot, name, lines, { force: false });
      return write;
    });
  } catch (error) {
    // A shell that we know nothing of, and a home folder that nobody names, have no block of ours.
    if (isAppError(error, 'usage') || isAppError(error, 'config_invalid')) return 'absent';
    const { message, hint } = asAppError(error);
    return failed(`${tool.name}: ${message}`, hint ?? write);
  }
}
