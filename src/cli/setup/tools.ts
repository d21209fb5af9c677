/** The one place that lists the tools of `oncall setup`. */
import { AppError } from '../../protocol/errors.ts';
import { choiceHint } from '../choice-hint.ts';
import { AWS_TOOL } from './aws.ts';
import { COMPLETION_TOOL } from './completion.ts';
import { KUBECTL_TOOL } from './kubectl.ts';
import { MARIADB_TOOL } from './mariadb.ts';
import { PROMPT_TOOL } from './prompt.ts';
import { PSQL_TOOL } from './psql.ts';
import { REDIS_TOOL } from './redis.ts';
import { SSH_TOOL } from './ssh.ts';
import type { SetupTool } from './tool.ts';

export const SETUP_TOOLS: readonly SetupTool[] = [
  SSH_TOOL,
  PSQL_TOOL,
  MARIADB_TOOL,
  REDIS_TOOL,
  KUBECTL_TOOL,
  AWS_TOOL,
  PROMPT_TOOL,
  COMPLETION_TOOL,
];

/** Throws AppError `usage`. */
export function readSetupTool(name: string): SetupTool {
  const tool = SETUP_TOOLS.find((one) => one.name === name);
  if (tool !== undefined) return tool;
  throw new AppError('usage', `unknown tool: ${name}`, {
    hint: choiceHint(
      name,
      SETUP_TOOLS.map((one) => one.name),
    ),
  });
}
