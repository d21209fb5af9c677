/**
 * What is asked all the time, by prompts and scripts: `--version` and plain `status`. Built into one small file of its own,
 * which bin/oncall asks first. It answers or declines, and fails at nothing: for whatever it does not know or cannot do,
 * main.ts starts from the beginning, and says what is wrong.
 */
import { readPlainStatus } from './cli/common-options.ts';
import { processIo } from './cli/io.ts';
import { printStatus } from './cli/plain-status.ts';
import { version } from './cli/version.ts';

/** Whether everything has been said. Nothing is written before it is certain that it will be. */
export async function answer(argv: readonly string[]): Promise<boolean> {
  const io = processIo();
  if (argv.length === 1 && (argv[0] === '--version' || argv[0] === '-V')) {
    io.stdout.write(`${version}\n`);
    return true;
  }
  try {
    const plain = readPlainStatus(argv);
    if (plain === undefined) return false;
    await printStatus({ io, env: process.env, now: Date.now(), ...plain });
    return true;
  } catch {
    return false;
  }
}
