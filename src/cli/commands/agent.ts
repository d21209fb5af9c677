import { AppError } from '../../protocol/errors.ts';
import { defineCommand } from '../command.ts';

/** Run by `dist/agent.js`, which bin/oncall starts at once for the plain command: here comes what that does not take. */
export const agentCommand = defineCommand<null>({
  json: [],
  examples: [
    ['oncall agent', 'run it in the foreground, until nothing is left to keep'],
    ['oncall agent --stay', 'run it for good, as a service manager does'],
  ],
  declare: (command) =>
    void command
      .option('--stay', 'go on when nothing is left to keep')
      .addHelpText('after', '\nalso: oncall agent status, stop, logs, install'),
  read: () => null,
  run: async () => {
    throw new AppError('usage', 'the agent itself takes --profile and --stay alone', {
      hint: 'oncall agent, or oncall agent status, stop, logs, install',
    });
  },
});
